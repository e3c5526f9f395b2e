"""Promptable models behind one contract.

A model encodes a slice once (`embed`), answers prompts on it (`decode`) and, where it can,
segments the whole slice (`everything`). `load_model` finds it by built-in name or YAML file,
reads or draws its weights and fixes the numerics; `describe` gives its card, which enters every
identity, without building it. To add a model of a known kind, write a YAML; to add a kind, write
one file with a `KIND` and one line in `registry.KINDS`. Nothing here knows about studies' rows,
collections or Ray.
"""

from engine.models.base import (
    SINGLE,
    Candidates,
    Capabilities,
    Card,
    Embedding,
    EverythingMasks,
    Image,
    Model,
    token_count,
)
from engine.models.registry import KINDS, describe, load_model, model_names, read_config

ALGORITHM_VERSION = 3
"""Raised when a change in this room changes numbers; part of every identity."""

__all__ = [
    "ALGORITHM_VERSION",
    "KINDS",
    "SINGLE",
    "Candidates",
    "Capabilities",
    "Card",
    "Embedding",
    "EverythingMasks",
    "Image",
    "Model",
    "describe",
    "load_model",
    "model_names",
    "read_config",
    "token_count",
]
