"""Fourier order against a slow oracle, shapes with known answers and a transform by sampling."""

from __future__ import annotations

import math
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from oracles import factors as oracle
from oracles.masks import objects
from scipy.ndimage import gaussian_filter

from engine.scoring.factors.descriptors import EllipticSeries, curve_dice, search
from engine.scoring.factors.outline import Outline, outline_of
from engine.scoring.factors.runs import frame, runs_of, topology_of

_ROWS, _COLUMNS = np.mgrid[-60:61, -60:61]


def disc(radius: float) -> oracle.Mask:
    inside: oracle.Mask = np.hypot(_ROWS, _COLUMNS) <= radius
    return inside


def flower(lobes: int) -> oracle.Mask:
    edge = 40 + 12 * np.cos(lobes * np.arctan2(_ROWS, _COLUMNS))
    inside: oracle.Mask = np.hypot(_ROWS, _COLUMNS) <= edge
    return inside


def outline(mask: oracle.Mask) -> Outline:
    framed = frame(mask)
    return outline_of(framed, topology_of(runs_of(framed)).first_of_largest)


def measure(mask: oracle.Mask) -> tuple[float, int | None]:
    found = search(outline(mask))
    return found.order + 200.0 * (1.0 - found.dice), found.order_97


@settings(max_examples=40)
@given(objects(largest=20))
def test_agrees_with_the_oracle_on_any_mask(mask: oracle.Mask) -> None:
    value, order_97 = measure(mask)
    expected, expected_97 = oracle.fourier_order(mask)
    assert abs(value - expected) <= 0.5
    assert order_97 == expected_97


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_the_oracle_on_blobs(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(48, 48))
    mask = gaussian_filter(noise, 2 + seed / 2) > 0.02
    value, order_97 = measure(mask)
    expected, expected_97 = oracle.fourier_order(mask)
    assert abs(value - expected) <= 0.5
    assert order_97 == expected_97


def test_agrees_with_the_oracle_on_real_nuclei(shared_data: Path) -> None:
    path = shared_data / "stardist_fluorescence" / "stardist" / "data" / "images" / "mask2d.tif"
    instances = tifffile.imread(path)
    for name in np.unique(instances)[1:60:7]:
        value, order_97 = measure(instances == name)
        rows, columns = np.nonzero(instances == name)
        crop = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        expected, expected_97 = oracle.fourier_order(instances[crop] == name)
        assert abs(value - expected) <= 0.5
        assert order_97 == expected_97


def test_a_disc_takes_one_harmonic() -> None:
    value, order_97 = measure(disc(50))
    assert order_97 == 1
    assert 1.0 <= value < 3.0


def test_a_mild_ellipse_takes_one_harmonic() -> None:
    value, order_97 = measure((_ROWS / 40) ** 2 + (_COLUMNS / 50) ** 2 <= 1)
    assert order_97 == 1
    assert 1.0 <= value < 7.0


def test_a_square_stops_at_the_first_plateau() -> None:
    """Even harmonics of a square vanish, so order 2 gains nothing although 3 is good enough."""
    square = (abs(_ROWS) <= 40) & (abs(_COLUMNS) <= 40)
    value, order_97 = measure(square)
    assert order_97 == 3
    circles = [disc(radius) for radius in np.linspace(40, 58, 300)]
    best = max(2 * (circle & square).sum() / (circle.sum() + square.sum()) for circle in circles)
    assert 2 + 200 * (1 - best) - 0.5 <= value < 30  # order 1 is a circle, none fits better


@pytest.mark.parametrize("lobes", [3, 5, 8])
def test_a_star_needs_at_least_a_harmonic_below_its_lobes(lobes: int) -> None:
    """r = R + d cos(k t) shows first in harmonics k - 1 and k + 1 of its coordinates."""
    value, order_97 = measure(flower(lobes))
    assert order_97 is not None
    assert lobes - 1 <= order_97 <= 4 * lobes
    assert value > 2


def test_holes_and_smaller_components_do_not_matter() -> None:
    plain = flower(5)
    other = plain & ~disc(20)
    other[:3, :3] = True
    assert measure(other) == measure(plain)


def test_place_and_border_do_not_matter() -> None:
    mask = flower(5)[5:, 9:]
    padded = np.pad(mask, ((13, 4), (7, 21)))
    value, order_97 = measure(padded)
    expected, expected_97 = measure(mask)
    assert value == pytest.approx(expected, abs=1e-9)
    assert order_97 == expected_97


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((1, 1), dtype=bool),
        np.ones((1, 2), dtype=bool),
        np.ones((1, 200), dtype=bool),
        np.ones((200, 1), dtype=bool),
        np.eye(60, dtype=bool),
        np.eye(60, dtype=bool)[::-1],
        (np.indices((21, 21)).sum(axis=0) % 2).astype(bool),
    ],
    ids=["pixel", "domino", "row", "column", "diagonal", "antidiagonal", "chessboard"],
)
def test_degenerate_objects_are_finite(mask: oracle.Mask) -> None:
    value, order_97 = measure(mask)
    assert math.isfinite(value)
    assert 1.0 <= value <= 264.0
    assert (value, order_97) == pytest.approx(oracle.fourier_order(mask), abs=0.5)


def test_the_search_goes_up_to_64() -> None:
    value, order_97 = measure(flower(32))
    assert order_97 == 63
    assert oracle.fourier_order(flower(32)) == (pytest.approx(value, abs=0.5), 63)
    assert measure(flower(35))[1] is None


def test_harmonics_are_those_of_the_curve_sampled_densely() -> None:
    """The closed form against an FFT of the same polygon at 2^17 points of equal arc length."""
    vertices = outline(flower(5)).vertices
    closed = np.vstack([vertices, vertices[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    n = 2**17
    at = np.arange(n) * along[-1] / n
    spectrum = np.fft.fft([np.interp(at, along, closed[:, axis]) for axis in (0, 1)]) / n
    series = EllipticSeries(vertices)
    for order in range(1, 13):
        curve = series.raise_order()
        kept = np.zeros((2, 1000), dtype=complex)
        kept[:, : order + 1] = spectrum[:, : order + 1]
        kept[:, -order:] = spectrum[:, -order:]
        expected = np.fft.ifft(kept).real * 1000
        np.testing.assert_allclose(curve, expected, atol=1e-4)


def test_many_harmonics_give_the_outline_back() -> None:
    vertices = outline(disc(30)).vertices
    series = EllipticSeries(vertices)
    for _ in range(300):
        curve = series.raise_order()
    gaps = np.hypot(*(curve[:, :, None] - vertices.T[:, None])).min(axis=1)
    assert gaps.max() < 0.6  # vertices are at most 1 apart


def _by_oracle(curve: NDArray[np.float64], mask: oracle.Mask) -> float:
    drawn = oracle.fill(curve, range(-9, 21), range(-9, 21))
    canvas = np.pad(mask, ((9, 21 - mask.shape[0]), (9, 21 - mask.shape[1])))
    return float(2 * (canvas & drawn).sum() / (canvas.sum() + drawn.sum()))


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(3, 12), st.just(2)), elements=st.integers(-16, 38)),
    objects(largest=20),
)
def test_curves_through_pixel_centres_follow_the_half_open_rule(
    halves: NDArray[np.int64], mask: oracle.Mask
) -> None:
    """Polygons on half-pixel points: many centres lie on edges, edges cross, leave the image.

    Where a slanted edge goes exactly through a centre, rounding decides; decoded curves, which are
    never exact, meet no such centre.
    """
    assume(_rounding_decides_nothing(halves))
    found = outline(mask)
    value = curve_dice(halves.T / 2.0 + 1.0, found.before)
    assert value == _by_oracle(halves / 2.0, found.filled[1:-1, 1:-1])


def _rounding_decides_nothing(halves: NDArray[np.int64]) -> bool:
    for start, end in zip(halves.tolist(), np.roll(halves, -1, axis=0).tolist(), strict=True):
        for row in range(-9, 21):
            if min(start[0], end[0]) <= 2 * row < max(start[0], end[0]):
                share = Fraction(2 * row - start[0], end[0] - start[0])
                exact = (start[1] + share * (end[1] - start[1])) / 2
                rough = (row - start[0] / 2) / (end[0] / 2 - start[0] / 2)
                found = start[1] / 2 + rough * (end[1] / 2 - start[1] / 2)
                if ceil(exact) != ceil(found):
                    return False
    return True


def test_a_square_on_pixel_centres_owns_its_upper_left_sides() -> None:
    square = np.array([[1.0, 1.0, 4.0, 4.0], [1.0, 4.0, 4.0, 1.0]])
    before = outline(np.ones((3, 3), dtype=bool)).before
    assert curve_dice(square, before) == 1.0
    assert curve_dice(square[:, ::-1].copy(), before) == 1.0


def test_where_a_curve_covers_itself_twice_it_is_outside() -> None:
    circle = np.arange(5) * 4 * np.pi / 5
    pentagram = 11 + 9 * np.stack([np.cos(circle), np.sin(circle)])
    core = np.zeros((21, 21), dtype=bool)
    core[10, 10] = True
    assert curve_dice(pentagram, outline(core).before) == 0.0
