"""Configuration: files to frozen models, and mistakes in words at the place where they are."""

from engine.configuration.files import Frozen, load_yaml, validate

__all__ = ["Frozen", "load_yaml", "validate"]
