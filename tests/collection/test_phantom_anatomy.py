"""Shapes with known areas, and what an apparatus does to flat tissue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collection.phantoms import formation
from engine.collection.phantoms.anatomy import ellipsoid, grid, ring, smooth_noise, tube, walk


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(7))


def test_grid_is_centred_and_spaced() -> None:
    where = grid((3, 4), (5.0, 2.0))
    assert where.shape == (2, 3, 4)
    assert where[0, :, 0].tolist() == [-5.0, 0.0, 5.0]
    assert where[1, 0].tolist() == [-3.0, -1.0, 1.0, 3.0]


def test_ellipsoids_have_their_volume() -> None:
    where = grid((40, 60, 70), (1.0, 1.0, 1.0))
    inside = ellipsoid(where, (2, -3, 5), (12, 20, 25), turn_deg=33) <= 1.0
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 12 * 20 * 25, rel=0.01)


def test_a_turn_is_clockwise_on_the_screen() -> None:
    where = grid((61, 61), (1.0, 1.0))
    long = ellipsoid(where, (0, 0), (3, 28), turn_deg=45) <= 1.0
    assert long[45, 45]  # right and down
    assert not long[15, 45]


def test_a_ring_is_what_two_discs_differ_by() -> None:
    field = ellipsoid(grid((101, 101), (1.0, 1.0)), (0, 0), (40, 40))
    assert ring(field, 0.5).sum() == (field <= 1.0).sum() - (field <= 0.5).sum()
    assert not ring(field, 0.5)[50, 50]


def test_noise_is_standard_and_smooth() -> None:
    noise = smooth_noise((80, 90), (6, 6), rng())
    assert noise.mean() == pytest.approx(0, abs=1e-12)
    assert noise.std() == pytest.approx(1)
    assert np.abs(np.diff(noise, axis=0)).max() < 0.6


def test_a_walk_takes_unit_steps_and_turns() -> None:
    path = walk((5.0, 5.0), 0.0, 90, rng(), bend_deg=90, wander_deg=0.0)
    steps = np.diff(path, axis=0)
    np.testing.assert_allclose(np.hypot(*steps.T), 1.0)
    np.testing.assert_allclose(steps[-1], [1.0, 0.0], atol=1e-9)  # from rightwards to downwards


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-9, 29), st.floats(-9, 34)), min_size=1, max_size=5),
    st.floats(0.0, 7.0),
)
def test_a_tube_is_every_pixel_near_its_path(
    points: list[tuple[float, float]], radius: float
) -> None:
    expected = np.zeros((20, 25), dtype=bool)
    for row in range(20):
        for column in range(25):
            expected[row, column] = any(
                (row - y) ** 2 + (column - x) ** 2 <= radius**2 for y, x in points
            )
    np.testing.assert_array_equal(tube((20, 25), np.array(points), radius), expected)


def test_ct_keeps_hounsfield_units() -> None:
    water = formation.ct(np.zeros((3, 64, 64)), rng())
    assert water.dtype == np.int16
    assert abs(water.mean()) < 1
    assert water.std() == pytest.approx(16, rel=0.05)
    assert formation.ct(np.full((1, 8, 8), 9000.0), rng()).max() == 3071


def test_mr_noise_is_rician_and_its_shading_smooth() -> None:
    air = formation.mr(np.zeros((2, 96, 96)), rng(), noise=0.03, gain=1.0)
    assert air.dtype == np.float32
    assert air.mean() == pytest.approx(0.03 * np.sqrt(np.pi / 2), rel=0.03)
    tissue = formation.mr(np.ones((2, 96, 96)), rng(), noise=0.0, gain=1.0)
    assert 0.02 < tissue.std() < 0.3
    assert np.abs(np.diff(tissue, axis=1)).max() < 0.03


def test_a_fundus_is_dark_outside_its_aperture() -> None:
    aperture = ellipsoid(grid((100, 100), (1.0, 1.0)), (0, 0), (45, 45))
    levels = formation.fundus(np.full((100, 100, 3), 0.8), aperture, rng())
    assert levels.dtype == np.uint8
    assert levels[aperture > 1.05].mean() < 8
    assert levels[50, 50].mean() > 180
    assert levels[50, 50].mean() > levels[50, 8].mean() + 40


def test_fluorescence_counts_photons() -> None:
    levels = formation.fluorescence(np.full((120, 120), 50.0), rng(), gain=24.0, offset=380.0)
    assert levels.dtype == np.uint16
    photons = 1.22 * 50 + 3
    assert levels.mean() == pytest.approx(380 + 24 * photons, rel=0.01)
    assert levels.std() == pytest.approx(24 * np.sqrt(photons), rel=0.05)
