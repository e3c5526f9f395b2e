"""Outlines against scikit-image's marching squares and scipy's hole filling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from oracles import factors as oracle
from oracles.masks import objects

from engine.scoring.factors.outline import Outline, outline_of
from engine.scoring.factors.runs import frame, runs_of, topology_of

_DIAGONAL = np.eye(2, dtype=bool)


def first_pixel_of_largest(mask: oracle.Mask) -> tuple[int, int]:
    row, column = topology_of(runs_of(frame(mask))).first_of_largest
    return row - 1, column - 1


def outline(mask: oracle.Mask) -> Outline:
    row, column = first_pixel_of_largest(mask)
    return outline_of(frame(mask), (row + 1, column + 1))


@given(objects())
def test_vertices_are_those_of_marching_squares_in_order(mask: oracle.Mask) -> None:
    expected = oracle.contour(oracle.filled_component(mask))
    np.testing.assert_array_equal(outline(mask).vertices - 1, expected)


@given(objects())
def test_filled_area_is_the_component_without_holes(mask: oracle.Mask) -> None:
    found = outline(mask)
    expected = oracle.filled_component(mask)
    np.testing.assert_array_equal(found.filled[1:-1, 1:-1], expected)
    assert found.area_px == expected.sum()


@given(objects(largest=12))
def test_largest_component_ties_go_to_row_major_order(mask: oracle.Mask) -> None:
    row, column = first_pixel_of_largest(mask)
    component = oracle.largest_component(mask)
    assert row * mask.shape[1] + column == np.flatnonzero(component)[0]


def test_of_equal_components_the_first_is_taken() -> None:
    mask = np.zeros((5, 9), dtype=bool)
    mask[0, 8] = mask[1, 7] = True  # two pixels, joined by a corner, first in row-major order
    mask[0:2, 0] = [False, True]  # one pixel
    mask[3, 0:2] = True  # two pixels, leftmost
    assert first_pixel_of_largest(mask) == (0, 8)


def test_components_are_compared_before_their_holes_are_filled() -> None:
    mask = np.zeros((7, 16), dtype=bool)
    mask[:5, :5] = True
    mask[1:4, 1:4] = False  # a ring of 16 pixels around 9
    mask[0:4, 8:13] = True  # 20 pixels
    assert first_pixel_of_largest(mask) == (0, 8)


def test_a_single_pixel_is_a_diamond_that_starts_at_its_top() -> None:
    vertices = outline(np.ones((1, 1), dtype=bool)).vertices - 1
    assert vertices.tolist() == [[-0.5, 0.0], [0.0, 0.5], [0.5, 0.0], [0.0, -0.5]]


@pytest.mark.parametrize("mask", [_DIAGONAL, _DIAGONAL[::-1]])
def test_diagonal_pixels_are_joined(mask: oracle.Mask) -> None:
    found = outline(mask)
    assert len(found.vertices) == 8
    assert found.area_px == 2


def test_a_diagonal_ring_encloses_its_middle() -> None:
    mask = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    found = outline(mask)
    assert found.area_px == 5
    assert found.filled[2, 2]
    assert not found.filled[1, 1]
