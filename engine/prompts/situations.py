"""The trials of one object as situations, each carrying what was computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.prompts.base import Mask, Situation
from engine.prompts.geometry import ObjectGeometry
from engine.study import Jitter, Strategy

S = TypeVar("S", bound=Situation)


@dataclass(frozen=True, kw_only=True)
class PreparedSituation(Situation):
    """A situation that brings the geometry of its `truth` along.

    It says nothing that `truth` does not say, so a prompter answers it as it answers the bare
    situation, only sooner.
    """

    geometry: ObjectGeometry


def situations_of(
    geometry: ObjectGeometry,
    object_id: str,
    strategy: Strategy,
    jitter: Jitter,
    study_seed: int = 0,
) -> Iterator[PreparedSituation]:
    """The first-step situation of every (level, trial) of one object, in `Jitter.trials_of` order.

    Share one `geometry` between all strategies and models of an object. Everything yields nothing:
    it has no prompts.
    """
    if not strategy.prompted:
        return
    for level, trial in jitter.trials_of(strategy):
        yield PreparedSituation(
            truth=geometry.mask,
            object_id=object_id,
            strategy=strategy.name,
            study_seed=study_seed,
            jitter_lo=level.lo,
            jitter_hi=level.hi,
            trial=trial,
            geometry=geometry,
        )


def next_step(situation: S, mask: Mask) -> S:
    """The situation after the model answered this one with `mask: bool[y, x]`."""
    return replace(situation, step=situation.step + 1, previous=(*situation.previous, mask))


def geometry_of(situation: Situation) -> ObjectGeometry:
    """The geometry a situation brings along, or a fresh one.

    Raises:
        SamscopeError: see `ObjectGeometry.from_mask`.
    """
    if isinstance(situation, PreparedSituation):
        return situation.geometry
    return ObjectGeometry.from_mask(situation.truth, where=situation.object_id)
