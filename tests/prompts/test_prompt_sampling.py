"""Sampling against literal cases, and the float pitfalls the integer forms avoid."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracles.masks import objects

from engine.prompts.base import Box
from engine.prompts.sampling import (
    centre,
    even_indices,
    even_sample,
    foreground_vector,
    negative_window,
    rounded_mean,
    surround_vector,
    tight_box,
)


def test_even_indices_by_hand() -> None:
    assert even_indices(10, 5) == [1, 3, 5, 7, 9]
    assert even_indices(10, 1) == [5]
    assert even_indices(7, 3) == [1, 3, 5]
    assert even_indices(2, 5) == [0, 0, 1, 1, 1]
    assert even_indices(5, 5) == [0, 1, 2, 3, 4]
    assert even_indices(1, 3) == [0, 0, 0]
    assert even_indices(3, 0) == []


@given(st.integers(1, 10**12), st.integers(1, 60))
def test_even_indices_are_the_formula(length: int, count: int) -> None:
    expected = [math.floor((i + Fraction(1, 2)) * length / count) for i in range(count)]
    assert even_indices(length, count) == expected
    assert all(0 <= i < length for i in expected)


@given(st.integers(0, 10**15), st.integers(1, 10**9))
def test_rounded_mean_is_exact(total: int, count: int) -> None:
    assert rounded_mean(total, count) == math.floor(Fraction(total, count) + Fraction(1, 2))


def test_rounded_mean_where_floats_fail() -> None:
    """The largest float below a half: adding 0.5 to it already gives 1."""
    total, count = 2**53 - 1, 2**54
    assert math.floor(total / count + 0.5) == 1
    assert rounded_mean(total, count) == 0
    assert [rounded_mean(t, 2) for t in (0, 1, 2, 3)] == [0, 1, 1, 2]  # halves go up


def test_row_major_order_of_any_memory_layout() -> None:
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, 3] = mask[1, 0] = mask[1, 2] = mask[2, 1] = True
    expected = [3, 4, 6, 9]
    assert foreground_vector(mask).tolist() == expected
    assert foreground_vector(np.asfortranarray(mask)).tolist() == expected
    assert foreground_vector(np.repeat(mask, 2, axis=1)[:, ::2]).tolist() == expected
    assert even_sample(foreground_vector(mask), 2) == [4, 9]


def test_box_and_window_by_hand() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:8, 10:15] = True
    box = tight_box(foreground_vector(mask), 30)
    assert box == Box(10, 5, 14, 7)
    assert negative_window(box, 20, 30) == Box(8, 4, 16, 8)
    assert negative_window(Box(0, 0, 29, 19), 20, 30) == Box(0, 0, 29, 19)
    assert negative_window(Box(3, 3, 3, 3), 20, 30) == Box(3, 3, 3, 3)  # 1 // 2 == 0


def test_surround_is_numbered_in_the_full_image() -> None:
    mask = np.zeros((6, 7), dtype=bool)
    mask[2:4, 2:4] = True
    assert surround_vector(mask, Box(1, 1, 4, 4)).tolist() == [
        *(8, 9, 10, 11),
        *(15, 18),
        *(22, 25),
        *(29, 30, 31, 32),
    ]


@given(objects())
def test_centre_and_box_enclose(mask: np.ndarray) -> None:
    vector = foreground_vector(mask)
    x, y = centre(vector, mask.shape[1])
    box = tight_box(vector, mask.shape[1])
    assert box.x0 <= x <= box.x1
    assert box.y0 <= y <= box.y1
    assert mask[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1].sum() == mask.sum()
    assert mask[box.y0].any()
    assert mask[box.y1].any()
    assert mask[:, box.x0].any()
    assert mask[:, box.x1].any()
