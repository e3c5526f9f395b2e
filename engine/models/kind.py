"""What a kind of model gives the registry: a schema for its YAML, a card and a loader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from engine.configuration import Frozen
from engine.errors import UserError
from engine.models.base import Card, Model
from engine.study import ModelChoice, Precision

C = TypeVar("C", bound="ModelConfig")

TRAINED = Path(__file__).parent / "trained"
"""Checkpoints that come with samscope."""


class ModelConfig(Frozen):
    """Fields every model YAML has; a kind adds its own.

    Attributes:
        kind: entry of `engine.models.registry.KINDS`.
        title: one line for people.
        trained_on: datasets its published weights have seen; counts only with weights.
        weights: file in `engine/models/trained/`, used where a choice names no checkpoint.
        checkpoint_file: usual name of the weights file, for messages.
        checkpoint_sha256: hash of the weights *file*, where it must be that one and no other.
    """

    kind: str
    title: str = ""
    trained_on: tuple[str, ...] = ()
    weights: str | None = None
    checkpoint_file: str | None = None
    checkpoint_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")


def weights_file(choice: ModelChoice, config: ModelConfig) -> Path | None:
    """Where the weights come from; None: they are drawn."""
    if choice.checkpoint is not None:
        return Path(choice.checkpoint)
    if choice.init_seed is None and config.weights is not None:
        return TRAINED / config.weights
    return None


@dataclass(frozen=True)
class Request:
    """A model asked for: the study's choice, the name it is built from, its configuration."""

    choice: ModelChoice
    architecture: str
    config: Any

    def config_as(self, schema: type[C]) -> C:
        """The configuration, known to be of `schema`. Raises UserError when it is not."""
        if not isinstance(self.config, schema):
            raise UserError(
                f"model '{self.architecture}' is configured for another kind",
                got=type(self.config).__name__,
                expected=schema.__name__,
            )
        return self.config


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        schema: validates its YAML.
        describe: the card, without building a network in memory where that is possible.
        load: the model on a device (`cpu`, `cuda`, `cuda:N`) at a precision.
        network: of a request's configuration, what its memory follows from; None: next to nothing.
    """

    schema: type[ModelConfig]
    describe: Callable[[Request], Card]
    load: Callable[[Request, str, Precision], Model]
    network: Callable[[Request], Any] | None = None
