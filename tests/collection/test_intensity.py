"""The 8-bit image against exact rational arithmetic (protocol 1.6)."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from oracles import intensity as oracle

from engine.collection.intensity import check_intensity, to_uint8
from engine.errors import CorruptDataError, UserError
from engine.study import Intensity

DTYPES = ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
DEFAULT = Intensity()


@st.composite
def images(draw: st.DrawFn, rgb: bool = False) -> NDArray[Any]:
    dtype = np.dtype(draw(st.sampled_from(["uint16", "int16", "float32"] if rgb else DTYPES)))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False}
    elements = npst.from_dtype(dtype, **(finite if dtype.kind == "f" else {}))
    return draw(npst.arrays(dtype, (*shape, 3) if rgb else shape, elements=elements))


@given(st.one_of(images(), images(rgb=True)))
def test_default_is_the_slices_own_extremes(image: NDArray[Any]) -> None:
    lo, hi = oracle.extremes(image)
    rendered = to_uint8(image, DEFAULT, -1.0, 1.0)
    assert rendered.image.dtype == np.uint8
    assert rendered.image.shape == image.shape
    assert rendered.flat == (
        len(np.unique(rendered.image.reshape(-1, *image.shape[2:]), axis=0)) == 1
    )
    if image.ndim == 2:
        assert rendered.flat == (lo == hi)
    if lo == hi:
        assert not rendered.image.any()
    elif hi - lo > Fraction(sys.float_info.min):  # below, float64 has few digits left
        assert oracle.agrees(rendered.image, oracle.stretch(image, lo, hi))
        assert (rendered.image.min(), rendered.image.max()) == (0, 255)


@given(images(), st.data())
def test_volume_scope_uses_the_cases_extremes(image: NDArray[Any], data: st.DataObject) -> None:
    lo, hi = (float(v) for v in oracle.extremes(image))
    finite = st.floats(-1e300, 1e300)
    volume_lo, volume_hi = min(lo, data.draw(finite)), max(hi, data.draw(finite))
    rendered = to_uint8(image, Intensity(scope="volume"), volume_lo, volume_hi)
    if volume_hi - volume_lo > 1e-300:
        exact = oracle.stretch(image, Fraction(volume_lo), Fraction(volume_hi))
        assert oracle.agrees(rendered.image, exact)
    assert rendered.flat == (len(np.unique(rendered.image)) == 1)


@given(
    npst.arrays(np.int16, (4, 5)),
    st.floats(-4000, 4000),
    st.floats(0.5, 8000),
)
def test_window_clips(image: NDArray[np.int16], centre: float, width: float) -> None:
    rendered = to_uint8(image, Intensity(window=(centre, width)), 0, 0)
    lo, hi = Fraction(centre - width / 2), Fraction(centre + width / 2)
    assert oracle.agrees(rendered.image, oracle.stretch(image, lo, hi))
    assert rendered.flat == (len(np.unique(rendered.image)) == 1)


@given(npst.arrays(np.int16, (4, 5)), st.integers(0, 98), st.integers(1, 100))
def test_percentiles_interpolate_linearly(image: NDArray[np.int16], low: int, more: int) -> None:
    high = min(100, low + more)
    rendered = to_uint8(image, Intensity(percentiles=(low, high)), 0, 0)
    values = [Fraction(v) for v in image.ravel().tolist()]
    lo, hi = oracle.percentile(values, low), oracle.percentile(values, high)
    if lo == hi:
        assert not rendered.image.any()
        assert rendered.flat
    else:
        assert oracle.agrees(rendered.image, oracle.stretch(image, lo, hi))


def test_known_values() -> None:
    image = np.array([[-1000, 0], [1000, 3095]], np.int16)
    assert to_uint8(image, DEFAULT, 0, 0).image.tolist() == [[0, 62], [125, 255]]
    volume = to_uint8(image, Intensity(scope="volume"), -1000, 9200)
    assert volume.image.tolist() == [[0, 25], [50, 102]]
    window = to_uint8(image, Intensity(window=(40, 400)), 0, 0)
    assert window.image.tolist() == [[0, 102], [255, 255]]


def test_eight_bit_grey_is_stretched_and_eight_bit_rgb_is_kept() -> None:
    grey = np.array([[100, 110]], np.uint8)
    assert to_uint8(grey, DEFAULT, 0, 255).image.tolist() == [[0, 255]]
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    for options in (
        DEFAULT,
        Intensity(scope="volume"),
        Intensity(window=(40, 400)),
        Intensity(percentiles=(1, 99)),
    ):
        rendered = to_uint8(rgb, options, 0, 255)
        assert rendered.image.tolist() == rgb.tolist()
        assert not rendered.flat
    assert to_uint8(rgb[:, :1], DEFAULT, 0, 255).flat  # one colour only, kept all the same


def test_deep_rgb_keeps_its_colours() -> None:
    """One range for the three channels: a stretch of each would change the hue."""
    rgb = np.array([[[0, 1000, 2000], [4000, 3000, 500]]], np.uint16)
    expected = [[[0, 64, 128], [255, 191, 32]]]
    assert to_uint8(rgb, DEFAULT, 0, 0).image.tolist() == expected


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-32768, 32767, "int16"),
        (-128, 127, "int8"),
        (-(2**31), 2**31 - 1, "int32"),
        (-(2**63), 2**63 - 1, "int64"),
        (0, 2**64 - 1, "uint64"),
        (-3.4e38, 3.4e38, "float32"),
        (-1.7976931348623157e308, 1.7976931348623157e308, "float64"),
        (-65504, 65504, "float16"),
        (0, 5e-324, "float64"),
    ],
)
def test_no_wrap_and_no_overflow(low: float, high: float, dtype: str) -> None:
    image = np.array([[low, high]], dtype)
    for options in (DEFAULT, Intensity(scope="volume"), Intensity(percentiles=(0, 100))):
        rendered = to_uint8(image, options, float(low), float(high))
        if high > 1e-300 or options.percentiles is None:
            assert rendered.image.tolist() == [[0, 255]]


def test_minus_zero_is_zero() -> None:
    rendered = to_uint8(np.array([[0.0, -0.0]]), DEFAULT, 0, 0)
    assert rendered.flat
    assert rendered.image.tolist() == [[0, 0]]


def test_constant_slice_of_a_volume_keeps_its_level_and_is_flat() -> None:
    rendered = to_uint8(np.full((2, 2), 5, np.int16), Intensity(scope="volume"), 0, 10)
    assert rendered.flat
    assert rendered.image.tolist() == [[128, 128], [128, 128]]


def test_input_is_left_alone() -> None:
    image = np.array([[1.0, 2.0]])
    image.flags.writeable = False
    to_uint8(image, DEFAULT, 0, 0)
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb.flags.writeable = False
    to_uint8(rgb, DEFAULT, 0, 0)


def test_refusals() -> None:
    with pytest.raises(UserError, match="percentiles"):
        check_intensity(Intensity(scope="volume", percentiles=(1, 99)))
    with pytest.raises(UserError, match="window"):
        to_uint8(np.zeros((2, 2, 3), np.uint16), Intensity(window=(40, 400)), 0, 0)
    for shape in ((2,), (2, 2, 2), (2, 2, 4), (0, 2)):
        with pytest.raises(UserError, match="axes"):
            to_uint8(np.zeros(shape), DEFAULT, 0, 0)
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(CorruptDataError, match="not finite"):
            to_uint8(np.array([[1.0, bad]]), DEFAULT, 0, 0)
