"""What a prompt is, and what a prompter may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Point:
    """A click: integer pixel coordinates on the original grid (x = column, y = row)."""

    x: int
    y: int
    positive: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A box in inclusive integer pixel coordinates, x0 <= x1 and y0 <= y1."""

    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """Points (positives first) and at most one box; `notes` are codes such as `degenerate_box`."""

    points: tuple[Point, ...] = ()
    box: Box | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """All that a prompter sees: ids and seed, step, ground truth and the masks of earlier steps.

    Attributes:
        truth: bool[y, x], the object's mask on the original grid.
        object_id, strategy, study_seed, jitter_lo, jitter_hi, trial: identify the trial; together
            they seed its generator (`engine.identity.trial_seed`).
        step: 0 for one-shot strategies.
        previous: masks bool[y, x] of steps 0..step-1.
    """

    truth: Mask
    object_id: str
    strategy: str
    study_seed: int = 0
    jitter_lo: int = 0
    jitter_hi: int = 0
    trial: int = 0
    step: int = 0
    previous: tuple[Mask, ...] = field(default=())


class Prompter(Protocol):
    """A strategy's rule. Pure: equal situations give equal prompts."""

    @property
    def steps(self) -> int:
        """Number of steps of a trial; 1 for one-shot kinds."""
        ...

    def __call__(self, situation: Situation) -> Prompt:
        """The prompt of `situation.step`."""
        ...
