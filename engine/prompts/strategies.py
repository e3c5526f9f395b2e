"""The strategies that answer in one step: points, a box, or both (protocol section 2, S2-S6).

A kind is a factory `(strategy, jitter) -> Prompter` in `PROMPTERS`. Kinds with more steps, such
as corrective clicks, register the same way: their prompter reports `steps > 1` and reads
`situation.step` and `situation.previous`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.errors import UserError
from engine.prompts.base import Box, Point, Prompt, Prompter, Situation
from engine.prompts.geometry import ObjectGeometry
from engine.prompts.jitter import move_box, move_points, trial_generator
from engine.prompts.situations import geometry_of
from engine.registry import Registry
from engine.study import Jitter, PointsParams, Strategy

NO_NEGATIVE_PIXELS = "no_negative_pixels"

PROMPTERS: Registry[Callable[[Strategy, Jitter], Prompter]] = Registry(
    "strategy kind",
    {
        "points": "engine.prompts.strategies:points",
        "box": "engine.prompts.strategies:box",
        "box_points": "engine.prompts.strategies:box_points",
    },
)


@dataclass(frozen=True)
class OneShot:
    """A prompter of one step.

    Attributes:
        positive, negative: numbers of points.
        box: whether the prompt has the tight box.
        moves, box_rule: which points move and how the box moves at non-zero jitter levels.
    """

    positive: int = 0
    negative: int = 0
    box: bool = False
    moves: Literal["first", "all"] = "first"
    box_rule: Literal["edges", "translate"] = "edges"

    @property
    def steps(self) -> int:
        return 1

    def __call__(self, situation: Situation) -> Prompt:
        """The prompt of this trial.

        Raises:
            SamscopeError: the truth is empty or no bool[y, x].
        """
        geometry = geometry_of(situation)
        points, notes = self._points_at_rest(geometry)
        box = geometry.box if self.box else None
        if situation.jitter_hi == 0:
            return Prompt(points, box, notes)
        return self._displaced(situation, geometry, points, box, notes)

    def _points_at_rest(
        self, geometry: ObjectGeometry
    ) -> tuple[tuple[Point, ...], tuple[str, ...]]:
        positives = geometry.positives(self.positive) if self.positive else ()
        negatives = geometry.negatives(self.negative) if self.negative else ()
        missing = self.negative > 0 and not negatives
        return positives + negatives, (NO_NEGATIVE_PIXELS,) if missing else ()

    def _displaced(
        self,
        situation: Situation,
        geometry: ObjectGeometry,
        points: tuple[Point, ...],
        box: Box | None,
        notes: tuple[str, ...],
    ) -> Prompt:
        rng = trial_generator(situation)
        reach = (situation.jitter_lo, situation.jitter_hi)
        size = (geometry.height, geometry.width)
        if box is not None:
            box, more = move_box(box, rng, reach, size, self.box_rule)
            notes += more
        return Prompt(move_points(points, rng, reach, size, self.moves), box, notes)


def points(strategy: Strategy, jitter: Jitter) -> Prompter:
    """Kind `points`: positive points, then negative ones."""
    counts = _counts(strategy)
    return OneShot(counts.positive, counts.negative, moves=jitter.moves)


def box(strategy: Strategy, jitter: Jitter) -> Prompter:
    """Kind `box`: the tight box."""
    return OneShot(box=True, box_rule=jitter.box)


def box_points(strategy: Strategy, jitter: Jitter) -> Prompter:
    """Kind `box_points`: the tight box with points."""
    counts = _counts(strategy)
    return OneShot(counts.positive, counts.negative, True, jitter.moves, jitter.box)


def prompter(strategy: Strategy, jitter: Jitter) -> Prompter:
    """The prompter of a strategy under the study's jitter options.

    Raises:
        UserError: the kind is unknown, or has no prompts (Everything).
    """
    if not strategy.prompted:
        raise UserError(
            f"strategy '{strategy.name}' takes no prompts",
            got=f"kind '{strategy.kind}'",
            expected="one of: " + ", ".join(sorted(PROMPTERS)),
            remedy="segment the slice with the model's `everything` instead",
        )
    return PROMPTERS.get(strategy.kind)(strategy, jitter)


def _counts(strategy: Strategy) -> PointsParams:
    if not isinstance(strategy.params, PointsParams):
        raise UserError(
            f"strategy '{strategy.name}' lacks its numbers of points",
            got=type(strategy.params).__name__,
            expected="params with `positive` and `negative`",
        )
    return strategy.params
