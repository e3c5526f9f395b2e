"""Displacement of points and boxes, drawn from the trial's own generator (protocol section 2).

The order of draws is part of the protocol: first the box, then the points. Functions here take
the generator and draw from it in that order; nothing else may draw in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from engine.identity import trial_seed
from engine.prompts.base import Box, Point, Situation

DEGENERATE_BOX = "degenerate_box"

Range = tuple[int, int]
"""(lo, hi): displacement in pixels on the original grid."""


def trial_generator(situation: Situation) -> np.random.Generator:
    """A fresh PCG64 generator of the situation's trial; all its steps share the seed."""
    seed = trial_seed(
        situation.study_seed,
        situation.object_id,
        situation.strategy,
        situation.jitter_lo,
        situation.jitter_hi,
        situation.trial,
    )
    return np.random.Generator(np.random.PCG64(seed))


def move_box(
    box: Box,
    rng: np.random.Generator,
    reach: Range,
    size: tuple[int, int],
    rule: Literal["edges", "translate"] = "edges",
) -> tuple[Box, tuple[str, ...]]:
    """Displace `box` and say what became of it.

    Args:
        reach: (lo, hi), pixels.
        size: (height, width) of the image the corners are clipped to.
        rule: `edges` moves x0, y0, x1, y1 each on its own; `translate` moves the whole box by one
            vector (its clipped corners may still make it smaller).

    Returns:
        The box with sorted corners, and the note `degenerate_box` where it has no width or height.
    """
    if rule == "edges":
        dx0, dy0, dx1, dy1 = (_signed(rng, reach) for _ in range(4))
    else:
        dx0, dy0 = dx1, dy1 = _polar(rng, reach)
    height, width = size
    x0, x1 = sorted((_place(box.x0 + dx0, width), _place(box.x1 + dx1, width)))
    y0, y1 = sorted((_place(box.y0 + dy0, height), _place(box.y1 + dy1, height)))
    return Box(x0, y0, x1, y1), ((DEGENERATE_BOX,) if x0 == x1 or y0 == y1 else ())


def move_points(
    points: Sequence[Point],
    rng: np.random.Generator,
    reach: Range,
    size: tuple[int, int],
    rule: Literal["first", "all"] = "first",
) -> tuple[Point, ...]:
    """Displace the first positive point, or each of them in order; negative points stay.

    Args:
        points: positives first, as in `Prompt.points`.
        reach: (lo, hi), pixels.
        size: (height, width) of the image the points are clipped to.
    """
    moving = sum(point.positive for point in points)
    if rule == "first":
        moving = min(moving, 1)
    return (*(_moved(point, rng, reach, size) for point in points[:moving]), *points[moving:])


def _moved(point: Point, rng: np.random.Generator, reach: Range, size: tuple[int, int]) -> Point:
    dx, dy = _polar(rng, reach)
    return Point(_place(point.x + dx, size[1]), _place(point.y + dy, size[0]), point.positive)


def _signed(rng: np.random.Generator, reach: Range) -> float:
    """One edge's displacement: draws the sign, then the magnitude."""
    sign = -1.0 if rng.random() < 0.5 else 1.0
    return sign * _magnitude(rng, reach)


def _polar(rng: np.random.Generator, reach: Range) -> tuple[float, float]:
    """A displacement (dx, dy): draws the angle, then the radius."""
    angle = 2 * math.pi * rng.random()
    radius = _magnitude(rng, reach)
    return radius * math.cos(angle), radius * math.sin(angle)


def _magnitude(rng: np.random.Generator, reach: Range) -> float:
    lo, hi = reach
    return lo + (hi - lo) * rng.random()


def _place(value: float, extent: int) -> int:
    """Round half up to a pixel and clip to 0..extent-1."""
    return min(max(math.floor(value + 0.5), 0), extent - 1)
