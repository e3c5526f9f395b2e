"""The draws: their order, their reach, and what clipping and crossing corners do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.prompts.base import Box, Point, Situation
from engine.prompts.jitter import DEGENERATE_BOX, move_box, move_points, trial_generator


class Scripted(np.random.Generator):
    """Gives the listed draws in order and fails when asked for more."""

    def __init__(self, draws: Sequence[float]) -> None:
        super().__init__(np.random.PCG64(0))
        self.left = list(draws)

    def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
        return self.left.pop(0)


def test_edges_draw_sign_then_magnitude_corner_by_corner() -> None:
    rng = Scripted([0.49, 0.5, 0.5, 0.0, 0.0, 0.25, 0.99, 0.75])
    box, notes = move_box(Box(50, 50, 60, 60), rng, (10, 20), (200, 200))
    assert box == Box(50 - 15, 50 + 10, 60 - 12, 60 + 18)  # 47.5 rounds up to 48
    assert (notes, rng.left) == ((), [])


def test_translate_draws_once() -> None:
    rng = Scripted([0.25, 0.5])
    box, _ = move_box(Box(50, 50, 60, 70), rng, (10, 20), (200, 200), "translate")
    assert box == Box(50, 65, 60, 85)  # a quarter turn points down the rows
    assert rng.left == []


def test_first_point_only_or_all_positives() -> None:
    points = (Point(50, 50, True), Point(20, 20, True), Point(5, 5, False))
    rng = Scripted([0.0, 0.0])
    assert move_points(points, rng, (10, 20), (99, 99)) == (Point(60, 50, True), *points[1:])
    rng = Scripted([0.0, 0.0, 0.5, 1.0])
    assert move_points(points, rng, (10, 20), (99, 99), "all") == (
        Point(60, 50, True),
        Point(0, 20, True),
        points[2],
    )
    assert rng.left == []


def test_negative_points_never_draw() -> None:
    points = (Point(5, 5, False), Point(6, 6, False))
    assert move_points(points, Scripted([]), (10, 20), (99, 99), "all") == points
    assert move_points((), Scripted([]), (10, 20), (99, 99)) == ()


def test_corners_cross_and_are_sorted() -> None:
    rng = Scripted([0.9, 0.5, 0.9, 0.5, 0.1, 0.5, 0.1, 0.5])
    box, notes = move_box(Box(40, 40, 50, 60), rng, (20, 30), (100, 100))
    assert box == Box(25, 35, 65, 65)
    assert notes == ()


def test_clipping_to_the_image_and_the_note() -> None:
    rng = Scripted([0.1, 0.5, 0.1, 0.5, 0.1, 0.5, 0.9, 0.5])
    box, notes = move_box(Box(1, 2, 4, 6), rng, (10, 20), (10, 12))
    assert box == Box(0, 0, 0, 9)
    assert notes == (DEGENERATE_BOX,)
    assert move_points((Point(3, 3, True),), Scripted([0.0, 0.5]), (10, 20), (10, 12)) == (
        Point(11, 3, True),
    )


def test_halves_round_up() -> None:
    points = (Point(10, 10, True),)
    moved = move_points(points, Scripted([0.0, 0.25]), (0, 10), (50, 50))
    assert moved[0].x == 13  # 12.5
    rng = Scripted([0.1, 0.25, 0.9, 0.25, 0.1, 0.25, 0.9, 0.25])
    box, _ = move_box(Box(10, 10, 20, 20), rng, (0, 10), (50, 50))
    assert box == Box(8, 13, 18, 23)  # 7.5, 12.5, 17.5, 22.5


@given(
    st.integers(0, 2**128 - 1),
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda r: (min(r), max(r))),
)
def test_reach_is_kept_in_a_large_image(seed: int, reach: tuple[int, int]) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    (moved,) = move_points((Point(500, 500, True),), rng, reach, (1000, 1000))
    distance = math.hypot(moved.x - 500, moved.y - 500)
    slack = math.sqrt(0.5)
    assert reach[0] - slack <= distance <= reach[1] + slack
    box, _ = move_box(Box(300, 300, 700, 700), rng, reach, (1000, 1000))
    for new, old in ((box.x0, 300), (box.y0, 300), (box.x1, 700), (box.y1, 700)):
        assert reach[0] - 0.5 <= abs(new - old) <= reach[1] + 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("object_id", "d/c/00000/other/0"),
        ("strategy", "box_2"),
        ("study_seed", 1),
        ("jitter_lo", 1),
        ("jitter_hi", 11),
        ("trial", 1),
    ],
)
def test_every_id_changes_the_draws(field: str, value: object) -> None:
    ids: dict[str, object] = {"object_id": "d/c/00000/s/0", "strategy": "box", "jitter_hi": 10}
    truth = np.ones((2, 2), dtype=bool)
    first = trial_generator(Situation(truth=truth, **ids)).random(4)  # type: ignore[arg-type]
    again = trial_generator(Situation(truth=~truth, step=3, **ids)).random(4)  # type: ignore[arg-type]
    other = trial_generator(Situation(truth=truth, **{**ids, field: value})).random(4)  # type: ignore[arg-type]
    assert (first == again).all()
    assert (first != other).all()
