"""Shapes with known areas, standard noise, paths of unit steps."""

from __future__ import annotations

import numpy as np
import pytest

from engine.collection.phantoms.anatomy import ellipsoid, grid, ring, smooth_noise, walk


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
