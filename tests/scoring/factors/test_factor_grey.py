"""Factors that need the levels of grey: contrast, noise and gradient."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracles import factors as oracle
from oracles import scores
from oracles.masks import objects
from scipy import ndimage

from engine.scoring.factors import compute_factors, to_grey
from engine.scoring.factors.boundary_gradient import border_pixels
from engine.scoring.factors.runs import frame

Image = np.ndarray[Any, np.dtype[np.uint8]]


@st.composite
def seen(draw: st.DrawFn) -> tuple[oracle.Mask, Image]:
    """An object and an image, grey or RGB, of noise, of few levels or of one."""
    mask = draw(objects(largest=16))
    channels = draw(st.sampled_from([(), (3,)]))
    levels = draw(st.sampled_from([1, 2, 256]))
    noise = np.random.default_rng(draw(st.integers(0, 99))).integers(
        0, levels, (*mask.shape, *channels)
    )
    return mask, (noise * (255 // max(levels - 1, 1))).astype(np.uint8)


def grey_of(image: Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return image @ np.array([0.299, 0.587, 0.114]) if image.ndim == 3 else image.astype(float)


def thousandths(image: Image) -> list[list[float]]:
    """Grey from whole thousandths, so that equal greys are equal."""
    if image.ndim == 2:
        return image.astype(float).tolist()
    return [
        [(299 * int(r) + 587 * int(g) + 114 * int(b)) / 1000 for r, g, b in row] for row in image
    ]


@given(seen())
def test_contrast_and_gradient_agree_with_the_oracle(case: tuple[oracle.Mask, Image]) -> None:
    mask, image = case
    found = compute_factors(mask, image)
    grey = np.array(thousandths(image))
    for name in ("intensity_difference", "contrast_to_noise", "boundary_gradient"):
        expected = getattr(oracle, name)(mask, grey)
        assert found[name] == (None if expected is None else pytest.approx(expected, abs=1e-9)), (
            name
        )


@given(seen())
def test_the_gradient_is_that_of_other_libraries(case: tuple[oracle.Mask, Image]) -> None:
    mask, image = case
    grey = grey_of(image)
    border = mask & ~ndimage.binary_erosion(mask)
    scipys = [ndimage.sobel(grey, axis=axis, mode="nearest") / 8 for axis in (0, 1)]
    opencvs = [
        cv2.Sobel(grey, cv2.CV_64F, dx, 1 - dx, borderType=cv2.BORDER_REPLICATE) / 8
        for dx in (0, 1)
    ]
    found = compute_factors(mask, image)["boundary_gradient"]
    for down, across in (scipys, opencvs):
        assert found == pytest.approx(np.hypot(down, across)[border].mean(), abs=1e-9)


@given(objects())
def test_the_border_is_that_of_the_scores(mask: oracle.Mask) -> None:
    framed = frame(mask)
    rows, columns = np.divmod(border_pixels(framed), framed.shape[1])
    np.testing.assert_array_equal(np.stack([rows - 1, columns - 1], axis=1), scores.border(mask))


def test_a_ramp_has_its_slope_as_gradient() -> None:
    rows, columns = np.mgrid[:40, :50]
    mask = np.hypot(rows - 20, columns - 25) <= 9
    assert compute_factors(mask, (5 * columns).astype(np.uint8))["boundary_gradient"] == 5.0
    both = (3 * rows + 2 * columns).astype(np.uint8)
    expected = pytest.approx(math.hypot(3, 2), rel=1e-14)
    assert compute_factors(mask, both)["boundary_gradient"] == expected


def test_the_image_is_continued_by_its_edge() -> None:
    """A ramp along the rows of an object that is the whole image: half the slope at both ends."""
    image = np.tile(np.arange(0, 60, 10, dtype=np.uint8), (5, 1))
    per_pixel = np.array([5, 10, 10, 10, 10, 5])
    border = 2 * per_pixel.sum() + 3 * (5 + 5)
    found = compute_factors(np.ones((5, 6), dtype=bool), image)["boundary_gradient"]
    assert found == border / (2 * 6 + 3 * 2)


def test_contrast_in_units_of_noise() -> None:
    image = np.indices((12, 12)).sum(axis=0).astype(np.uint8) % 2 * 20 + 90  # 90 and 110
    mask = np.zeros((12, 12), dtype=bool)
    mask[4:8, 4:8] = True
    image[mask] = 150
    found = compute_factors(mask, image)
    assert (found["intensity_difference"], found["contrast_to_noise"]) == (50.0, 5.0)
    image[mask] = 50
    assert compute_factors(mask, image)["contrast_to_noise"] == -5.0


def test_undefined_without_a_surround() -> None:
    mask = np.ones((5, 6), dtype=bool)
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    found = compute_factors(mask, image)
    assert found["intensity_difference"] is None
    assert found["contrast_to_noise"] is None
    assert found["boundary_gradient"] is not None


@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.integers(2, 40),
    st.integers(2, 40),
    st.sampled_from([(), (3,)]),
)
def test_a_constant_surround_has_no_noise(
    colour: tuple[int, int, int], height: int, width: int, channels: tuple[int, ...]
) -> None:
    image = np.full((height, width, 3), colour, dtype=np.uint8)
    mask = np.zeros((height, width), dtype=bool)
    mask[1:, 1:] = True
    image[mask] = 255 - image[mask]
    found = compute_factors(mask, image if channels else image[..., 0].copy())
    assert found["contrast_to_noise"] is None
    assert found["intensity_difference"] is not None


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3))))
def test_colours_of_equal_grey_are_equally_grey(image: Image) -> None:
    np.testing.assert_array_equal(to_grey(image), thousandths(image))
    np.testing.assert_allclose(to_grey(image), grey_of(image), rtol=1e-14, atol=1e-12)


def test_a_surround_of_colours_of_equal_grey_is_constant() -> None:
    """299 * 15 - 587 * 9 + 114 * 7 = 0: two colours of grey 11, parted by binary fractions."""
    image = np.full((9, 9, 3), 11, dtype=np.uint8)
    image[::2] = 26, 2, 18
    mask = np.zeros((9, 9), dtype=bool)
    mask[3:6, 3:6] = True
    image[mask] = 100
    assert compute_factors(mask, image)["contrast_to_noise"] is None


@given(seen(), st.sampled_from(["rows", "columns", "transposed"]))
def test_mirrors_change_nothing(case: tuple[oracle.Mask, Image], how: str) -> None:
    def mirrored(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return {"rows": array[::-1], "columns": array[:, ::-1], "transposed": array.swapaxes(0, 1)}[
            how
        ]

    mask, image = case
    before = compute_factors(mask, image)
    after = compute_factors(mirrored(mask), mirrored(image))
    for name in ("intensity_difference", "contrast_to_noise", "boundary_gradient"):
        same = before[name] is None
        assert after[name] == (None if same else pytest.approx(before[name], abs=1e-9)), name


@given(seen())
def test_the_slice_may_be_read_only_and_in_any_order(case: tuple[oracle.Mask, Image]) -> None:
    mask, image = case
    expected = compute_factors(mask, image)
    frozen_mask, frozen = np.asfortranarray(mask), np.asfortranarray(image)
    frozen_mask.flags.writeable = frozen.flags.writeable = False
    assert compute_factors(frozen_mask, frozen) == expected
