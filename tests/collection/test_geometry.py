"""Tolerances of protocol section 1.1, and messages with both geometries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.collection.geometry import Geometry, check_same
from engine.errors import CaseRefusedError

BASE = np.array([[0.8, 0, 0, 10.0], [0, 0.8, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]])
IMAGE = Geometry((4, 5, 6), (0.8, 0.8, 5.0), BASE)


def moved(axis: int, mm: float) -> Geometry:
    affine = BASE.copy()
    affine[axis, 3] += mm
    return replace(IMAGE, affine=affine)


def turned(sine: float) -> Geometry:
    affine, cosine = BASE.copy(), np.sqrt(1 - sine**2)
    affine[:3, 0] = 0.8 * np.array([cosine, sine, 0])
    affine[:3, 1] = 0.8 * np.array([-sine, cosine, 0])
    return replace(IMAGE, affine=affine)


def scaled(factor: float) -> Geometry:
    affine = BASE.copy()
    affine[:, 2] *= factor
    return replace(IMAGE, spacing_mm=(0.8, 0.8, 5 * factor), affine=affine)


@pytest.mark.parametrize(
    "label",
    [IMAGE, moved(0, 0.00079), moved(2, -0.0049), turned(0.0009), scaled(1.0009)],
)
def test_within_tolerance(label: Geometry) -> None:
    check_same(IMAGE, label, "case")


@pytest.mark.parametrize(
    ("label", "word"),
    [
        (moved(0, 0.00081), "origin"),
        (moved(2, -0.0051), "origin"),
        (turned(0.0011), "direction"),
        (turned(-0.0011), "direction"),
        (scaled(1.0011), "spacing"),
        (scaled(0.9989), "spacing"),
        (replace(IMAGE, affine=None), "orientation"),
    ],
)
def test_beyond_tolerance(label: Geometry, word: str) -> None:
    with pytest.raises(CaseRefusedError, match=word) as caught:
        check_same(IMAGE, label, "case")
    assert caught.value.code == "geometry_mismatch"
    assert str(label) in str(caught.value)
    assert str(IMAGE) in str(caught.value)


def test_a_flipped_label_is_refused() -> None:
    affine = BASE.copy()
    affine[:, 0] *= -1
    with pytest.raises(CaseRefusedError, match="direction"):
        check_same(IMAGE, replace(IMAGE, affine=affine), "case")


def test_shape_comes_first() -> None:
    with pytest.raises(CaseRefusedError) as caught:
        check_same(IMAGE, replace(IMAGE, shape=(4, 6, 5)), "case")
    assert caught.value.code == "shape_mismatch"


def test_images_without_geometry_need_equal_shapes_only() -> None:
    check_same(Geometry((4, 5), None, None), Geometry((4, 5), None, None), "case")
    assert str(Geometry((4, 5), None, None)) == "shape 4 x 5, no orientation stated"
