"""Label values, colours, masks and instances against plain comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from raw_makers import recipe, series

from engine.collection.codes import LabelMap
from engine.collection.decode import decode
from engine.collection.recipe import LabelSource
from engine.errors import CaseRefusedError

SHAPE = (2, 4, 5)
RED, YELLOW, BLACK = (255, 0, 0), (255, 255, 0), (0, 0, 0)


def source(**fields: Any) -> LabelSource:
    return recipe(series("i/{case}", {"file": "m/{case}", **fields})).series[0].labels[0]


def masks(label: LabelSource, array: NDArray[np.generic], **more: Any) -> dict[Any, Any]:
    """{structure or (structure, instance): full-size mask}, in order."""
    out: dict[Any, NDArray[np.bool_]] = {}
    for part in decode(label, LabelMap(array, "m/x", **more)):
        full = np.zeros(array.shape[:3], dtype=np.bool_)
        full[part.box] = part.mask
        out[(part.structure, part.instance) if part.instance else part.structure] = full
    return out


def refused(label: LabelSource, array: NDArray[np.generic], **more: Any) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        masks(label, array, **more)
    assert "m/x" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32", "float64", "uint64"])
def test_values(dtype: str) -> None:
    array = np.array([[[0, 1, 2, 3, 7, 200]]], dtype=dtype)
    label = source(kind="values", structures={"b": [2, 3], "a": 1, "none": 9}, ignore=[7, 200])
    found = masks(label, array)
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["b"], (array == 2) | (array == 3))
    np.testing.assert_array_equal(found["a"], array == 1)


@given(arrays(np.int32, SHAPE, elements=st.sampled_from([0, 1, 2, 3, -4, 10**9])))
def test_values_by_plain_comparison(array: NDArray[np.int32]) -> None:
    names = {"one": 1, "two_three": [2, 3], "minus": -4, "huge": 10**9, "whole": [1, 2]}
    found = masks(source(kind="values", structures=names), array)
    for name, values in names.items():
        expected = np.isin(array, values)
        assert (name in found) == bool(expected.any())
        if name in found:
            np.testing.assert_array_equal(found[name], expected)


def test_a_value_the_recipe_lacks_refuses() -> None:
    array = np.array([[[0, 1, 6, 6, 8]]])
    error = refused(source(kind="values", structures={"liver": 1}, ignore=[9]), array)
    assert error.code == "unknown_label_value"
    assert "6 (2 px), 8 (1 px)" in str(error)
    assert "liver: 1" in str(error)


@pytest.mark.parametrize("kind", ["values", "instances"])
def test_float_labels_that_are_not_whole_refuse(kind: str) -> None:
    fields = {"structures": {"x": 1}} if kind == "values" else {"structure": "x"}
    error = refused(source(kind=kind, **fields), np.array([[[0, 0.5, 1.0]]]))
    assert error.code == "dtype_mismatch"
    assert "0.5" in str(error)


def test_floats_too_large_to_be_exact_refuse() -> None:
    label = source(kind="instances", structure="x")
    assert refused(label, np.array([[[0, 1e30]]])).code == "dtype_mismatch"


def test_integers_beyond_int64_are_told_apart() -> None:
    array = np.array([[[0, 2**64 - 1, 2**64 - 2]]], dtype=np.uint64)
    error = refused(source(kind="values", structures={"x": 1}), array)
    assert str(2**64 - 1) in str(error)


def test_colour_files_are_no_values_unless_grey() -> None:
    grey = np.stack([np.array([[[0, 1, 1]]], dtype=np.uint8)] * 3, axis=-1)
    label = source(kind="values", structures={"x": 1})
    np.testing.assert_array_equal(masks(label, grey)["x"], grey[..., 0] == 1)
    grey[..., 2] = 9
    assert refused(label, grey).code == "dtype_mismatch"


def rgb(*colours: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.array([[colours]], dtype=np.uint8)


DISC_AND_CUP = {"disc": [list(YELLOW), list(RED)], "cup": list(RED)}


def test_exact_colours() -> None:
    array = rgb(BLACK, RED, YELLOW, (9, 9, 9))
    label = source(kind="colours", structures=DISC_AND_CUP, ignore=[[9, 9, 9]])
    found = masks(label, array)
    assert found["disc"].ravel().tolist() == [False, True, True, False]
    assert found["cup"].ravel().tolist() == [False, True, False, False]


def test_an_unknown_colour_refuses() -> None:
    error = refused(source(kind="colours", structures=DISC_AND_CUP), rgb(RED, (255, 1, 0)))
    assert error.code == "unknown_label_value"
    assert "[255, 1, 0] (1 px)" in str(error)
    assert "nearest" in str(error)


def test_grey_files_and_palettes_are_colours_too() -> None:
    label = source(kind="colours", structures={"vein": [128, 128, 128]})
    grey = np.array([[[0, 128]]], dtype=np.uint8)
    assert masks(label, grey)["vein"].ravel().tolist() == [False, True]
    palette = np.array([[128, 128, 128], [0, 0, 0]], dtype=np.uint8)
    indices = np.array([[[0, 1]]], dtype=np.uint8)
    assert masks(label, indices, palette=palette)["vein"].ravel().tolist() == [True, False]


def test_another_background_colour() -> None:
    label = source(kind="colours", structures={"x": [0, 0, 0]}, background=[255, 255, 255])
    assert masks(label, rgb((255, 255, 255), BLACK))["x"].ravel().tolist() == [False, True]
    assert refused(label, rgb(RED)).code == "unknown_label_value"


def test_wide_colours_refuse() -> None:
    array = rgb(RED).astype(np.uint16)
    error = refused(source(kind="colours", structures=DISC_AND_CUP), array)
    assert error.code == "dtype_mismatch"


@given(arrays(np.uint8, (1, 3, 4, 3)))
def test_nearest_colour_by_plain_search(array: NDArray[np.uint8]) -> None:
    label = source(kind="colours", nearest=True, structures=DISC_AND_CUP, ignore=[[0, 0, 255]])
    known = [BLACK, YELLOW, RED, RED, (0, 0, 255)]
    found = masks(label, array)
    for index in np.ndindex(1, 3, 4):
        pixel = [int(v) for v in array[index]]
        distances = [sum((p - c) ** 2 for p, c in zip(pixel, k, strict=True)) for k in known]
        nearest = known[distances.index(min(distances))]
        for name, colours in (("disc", (YELLOW, RED)), ("cup", (RED,))):
            inside = bool(found[name][index]) if name in found else False
            assert inside == (nearest in colours)


def test_nearest_ties_go_to_background_then_recipe_order() -> None:
    a, b = [200, 0, 0], [0, 200, 0]
    pixels = rgb((100, 0, 0), (100, 100, 0), (200, 200, 0))
    first = masks(source(kind="colours", nearest=True, structures={"a": a, "b": b}), pixels)
    assert "b" not in first
    assert first["a"].ravel().tolist() == [False, False, True]
    other = masks(source(kind="colours", nearest=True, structures={"b": b, "a": a}), pixels)
    assert other["b"].ravel().tolist() == [False, False, True]
    assert "a" not in other


@pytest.mark.parametrize("values", [[0, 1, 1], [0, 255, 255], [0.0, 1.0, 1.0], [0, -1, -1]])
def test_masks(values: list[float]) -> None:
    label = source(kind="mask", structure="lungs")
    assert masks(label, np.array([[values]]))["lungs"].ravel().tolist() == [False, True, True]
    assert masks(label, np.zeros(SHAPE)) == {}


def test_a_mask_with_values_in_between_refuses_unless_a_threshold_is_given() -> None:
    array = np.array([[[0, 3, 127, 128, 255]]], dtype=np.uint8)
    error = refused(source(kind="mask", structure="lungs"), array)
    assert error.code == "unknown_label_value"
    assert "127 (1 px)" in str(error)
    found = masks(source(kind="mask", structure="lungs", threshold=128), array)
    assert found["lungs"].ravel().tolist() == [False, False, False, True, True]
    soft = masks(source(kind="mask", structure="x", threshold=0.5), np.array([[[0.4, 0.5, 1]]]))
    assert soft["x"].ravel().tolist() == [False, True, True]


def test_masks_in_palette_files_go_by_colour() -> None:
    indices = np.array([[[0, 1, 1]]], dtype=np.uint8)
    inverted = np.array([[255, 255, 255], [0, 0, 0]], dtype=np.uint8)
    label = source(kind="mask", structure="lungs")
    found = masks(label, indices, palette=inverted)
    assert found["lungs"].ravel().tolist() == [True, False, False]
    soft = source(kind="mask", structure="lungs", threshold=128)
    assert masks(soft, indices, palette=inverted)["lungs"].ravel().tolist() == [True, False, False]
    coloured = np.array([[0, 0, 0], [128, 0, 0]], dtype=np.uint8)
    assert masks(label, indices, palette=coloured)["lungs"].ravel().tolist() == [False, True, True]
    assert refused(soft, indices, palette=coloured).code == "dtype_mismatch"


def test_the_file_name_names_the_structure() -> None:
    label = (
        recipe(series("i/{case}", {"file": "m/{case}_{structure}", "kind": "mask"}))
        .series[0]
        .labels[0]
    )
    assert list(masks(label, np.ones(SHAPE), structure="spleen")) == ["spleen"]


@given(arrays(np.uint16, SHAPE, elements=st.sampled_from([0, 1, 5, 300, 65535])))
def test_instances(array: NDArray[np.uint16]) -> None:
    found = masks(source(kind="instances", structure="cell", ignore=[5]), array)
    ids = [int(v) for v in np.unique(array) if v not in (0, 5)]
    assert list(found) == [("cell", i) for i in ids]
    for i in ids:
        np.testing.assert_array_equal(found["cell", i], array == i)


def test_negative_instances_refuse() -> None:
    label = source(kind="instances", structure="cell")
    assert refused(label, np.array([[[0, -3, 4]]])).code == "unknown_label_value"
