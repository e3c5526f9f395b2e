"""All factors of an object at once, the intensity surround, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import factors as oracle
from oracles.masks import objects

from engine.errors import UserError
from engine.identity import fingerprint
from engine.results.schema import FACTORS as COLUMNS
from engine.scoring.factors import (
    ALGORITHM_VERSION,
    PAPER_FACTORS,
    FactorInput,
    compute_factors,
    to_grey,
)


def image_of(mask: oracle.Mask, seed: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*mask.shape, *channels), dtype=np.uint8)


@given(objects(), st.integers(0, 99), st.sampled_from([(), (3,)]))
def test_every_column_is_finite_or_none(
    mask: oracle.Mask, seed: int, channels: tuple[int, ...]
) -> None:
    values = compute_factors(mask, image_of(mask, seed, *channels))
    assert all(value is None or math.isfinite(value) for value in values.values())
    assert values["area_px"] == mask.sum()
    assert all(type(value) in (bool, int, float, type(None)) for value in values.values())


def test_columns_are_those_of_the_schema() -> None:
    mask = np.ones((2, 3), dtype=bool)
    values = compute_factors(mask, image_of(mask, 0))
    stored = set(COLUMNS.names) - {"object_id", "flat"}
    assert set(values) == stored | {"area_px"}
    assert set(PAPER_FACTORS) - {"modality"} <= set(values)


def test_a_new_column_raises_the_version() -> None:
    """Committed cells lack it, and only another identity computes them anew: change both here."""
    assert (ALGORITHM_VERSION, fingerprint(COLUMNS.names)[:16]) == (2, "2756fdf0827838b5")


def test_aspect_ratio_is_short_over_long() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[3:7, 2] = mask[5, 2:12] = True
    image = image_of(mask, 0)
    assert compute_factors(mask, image)["aspect_ratio"] == 0.4
    assert compute_factors(mask.T, image)["aspect_ratio"] == 0.4


@given(objects(), st.integers(0, 99), st.sampled_from([(), (3,)]))
def test_intensity_difference_agrees_with_the_oracle(
    mask: oracle.Mask, seed: int, channels: tuple[int, ...]
) -> None:
    image = image_of(mask, seed, *channels)
    got = compute_factors(mask, image)["intensity_difference"]
    grey = image.astype(float)
    if channels:
        grey = grey @ np.array([0.299, 0.587, 0.114])
    expected = oracle.intensity_difference(mask, grey)
    assert (got is None) == (expected is None)
    assert expected is None or got == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("side", "margin"), [(1, 1), (10, 1), (11, 2), (20, 2), (30, 3), (31, 4)])
def test_the_surround_is_a_tenth_of_the_box_rounded_up(side: int, margin: int) -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[15 : 15 + side, 20 : 20 + side] = True
    image = np.zeros((60, 60), dtype=np.uint8)
    image[15 - margin : 15 + side + margin, 20 - margin : 20 + side + margin] = 90
    image[mask] = 200
    assert compute_factors(mask, image)["intensity_difference"] == 110.0
    image[14 - margin] = image[:, 19 - margin] = 0
    assert compute_factors(mask, image)["intensity_difference"] == 110.0
    image[15 - margin, 20] = 0
    assert compute_factors(mask, image)["intensity_difference"] > 110.0  # type: ignore[operator]


def test_an_object_that_fills_the_image_has_no_surround() -> None:
    mask = np.ones((9, 9), dtype=bool)
    assert compute_factors(mask, image_of(mask, 1))["intensity_difference"] is None


def test_grey_may_be_made_once_for_many_objects() -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[4:19, 7:30] = True
    image = image_of(mask, 5, 3)
    assert compute_factors(mask, to_grey(image)) == compute_factors(mask, image)


def test_large_sums_do_not_overflow() -> None:
    mask = np.zeros((4000, 4000), dtype=bool)
    mask[200:-200, 200:-200] = True
    image = np.where(mask, 255, 250).astype(np.uint8)
    assert compute_factors(mask, image)["intensity_difference"] == 5.0


def test_the_framed_mask_is_the_tight_box() -> None:
    mask = np.zeros((9, 12), dtype=bool)
    mask[2, 3] = mask[6, 10] = True
    seen = FactorInput.from_image(mask, image_of(mask, 0))
    assert seen.box == (3, 2, 10, 6)
    assert seen.framed.shape == (7, 10)
    np.testing.assert_array_equal(seen.framed, np.pad(mask[2:7, 3:11], 1))


@pytest.mark.parametrize(
    ("mask", "image", "word"),
    [
        (np.zeros((4, 4), bool), np.zeros((4, 4), np.uint8), "empty"),
        (np.ones((4, 4), np.uint8), np.zeros((4, 4), np.uint8), "boolean"),
        (np.ones((4, 4), bool), np.zeros((4, 5), np.uint8), "fit"),
        (np.ones((4, 4), bool), np.zeros((4, 4), np.int16), "fit"),
        (np.ones((4, 4), bool), np.zeros((4, 4, 4), np.uint8), "fit"),
        (np.ones((2, 4, 4), bool), np.zeros((4, 4), np.uint8), "boolean"),
    ],
)
def test_what_does_not_fit_is_refused(mask: np.ndarray, image: np.ndarray, word: str) -> None:
    with pytest.raises(UserError, match=word):
        compute_factors(mask, image)
