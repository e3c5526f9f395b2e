"""Prompts of a training step: the study's own, or points anywhere in the object, or displaced."""

from __future__ import annotations

import numpy as np

from engine.prompts import Box, ObjectGeometry, Point, Prompt
from engine.prompts.jitter import move_box, move_points
from engine.study import PointsParams
from engine.training.config import Prompting


def draw_strategies(how: Prompting, rng: np.random.Generator) -> list[str]:
    """Names of `per_image` strategies, by weight; a name may come twice."""
    names = list(how.strategies)
    weights = np.array([how.strategies[name] for name in names])
    if len(names) == 1:
        return names * how.per_image
    drawn = rng.choice(len(names), size=how.per_image, p=weights / weights.sum())
    return [names[i] for i in drawn]


def draw_prompt(
    geometry: ObjectGeometry, name: str, how: Prompting, rng: np.random.Generator
) -> Prompt:
    """A prompt of the strategy `name` for one object."""
    strategy = how.strategy(name)
    params = strategy.params
    points: tuple[Point, ...] = ()
    if isinstance(params, PointsParams):
        if how.random_points and rng.random() < how.random_points:
            points = _anywhere(geometry, params, rng)
        else:
            points = geometry.positives(params.positive)
            points += geometry.negatives(params.negative) if params.negative else ()
    box: Box | None = geometry.box if strategy.kind in ("box", "box_points") else None
    if how.jittered and rng.random() < how.jittered:
        reach = (0, int(rng.integers(0, how.jitter_px + 1)))
        size = (geometry.height, geometry.width)
        if box is not None:
            box, _ = move_box(box, rng, reach, size)
        points = move_points(points, rng, reach, size)
    return Prompt(points, box)


def _anywhere(
    geometry: ObjectGeometry, params: PointsParams, rng: np.random.Generator
) -> tuple[Point, ...]:
    inside = rng.choice(geometry.vector, size=params.positive)
    outside = np.empty(0, np.int64)
    if params.negative and len(geometry.surround):
        outside = rng.choice(
            geometry.surround, size=min(params.negative, len(geometry.surround)), replace=False
        )
    width = geometry.width
    return (
        *(Point(int(n) % width, int(n) // width, True) for n in inside),
        *(Point(int(n) % width, int(n) // width, False) for n in outside),
    )
