"""Factors that the mask alone decides: shapes with known answers, the oracle, other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import factors as oracle
from oracles.masks import objects
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.measure import euler_number, label

from engine.prompts import ObjectGeometry
from engine.scoring.factors import compute_factors
from engine.scoring.factors.base import Value
from engine.scoring.factors.positions import true_positions

ANY = np.arange(4096, dtype=np.uint8).reshape(64, 64)

SHAPE = (
    "n_components", "n_holes", "perimeter_px", "compactness", "solidity", "touches_border",
    "center_inside", "area_fraction",
)  # fmt: skip

# drawing, components, holes, perimeter, area of the hull, touches the border, centre inside
KNOWN: dict[str, tuple[str, int, int, int, float, bool, bool]] = {
    "pixel": ("... .#. ...", 1, 0, 4, 1, False, True),
    "whole image": ("### ###", 1, 0, 10, 6, True, True),
    "square": ("..... .###. .###. .###. .....", 1, 0, 12, 9, False, True),
    "L": ("#... #... ##..", 1, 0, 10, 5, True, True),
    "wide L": ("..... .#... .#... .#... .####", 1, 0, 16, 11.5, True, False),
    "ring": ("..... .###. .#.#. .###. .....", 1, 1, 16, 9, False, False),
    "bay at the image's border": ("#.# #.# ###", 1, 0, 16, 9, True, False),
    "bay closed by the image's border alone": ("### #.# #.#", 1, 0, 16, 9, True, False),
    "chessboard": ("#.#.# .#.#. #.#.# .#.#. #.#.#", 1, 4, 52, 25, True, True),
    "diagonal pair": (".... .#.. ..#. ....", 1, 0, 8, 3, False, True),
    "diamond": (".#. #.# .#.", 1, 1, 16, 7, True, False),
    "pixel in a ring": ("##### #...# #.#.# #...# #####", 2, 1, 36, 25, True, True),
    "two rings": ("###.### #.#.#.# ###.###", 2, 2, 32, 21, True, False),
    "8": ("### #.# ### #.# ###", 1, 2, 24, 15, True, True),
    "hole against a corner of another": ("##.. #.## ##.# .###", 1, 2, 24, 14.5, True, True),
}


def drawn(text: str) -> oracle.Mask:
    return np.array([[pixel == "#" for pixel in row] for row in text.split()])


def shape(mask: oracle.Mask) -> dict[str, Value]:
    values = compute_factors(mask, np.resize(ANY, mask.shape))
    return {name: values[name] for name in SHAPE}


@pytest.mark.parametrize("name", KNOWN)
def test_known_shapes(name: str) -> None:
    text, components, holes, perimeter, hull, touches, centre = KNOWN[name]
    mask = drawn(text)
    assert shape(mask) == {
        "n_components": components,
        "n_holes": holes,
        "perimeter_px": perimeter,
        "compactness": pytest.approx(4 * math.pi * mask.sum() / perimeter**2, rel=1e-15),
        "solidity": mask.sum() / hull,
        "touches_border": touches,
        "center_inside": centre,
        "area_fraction": mask.mean(),
    }


@given(objects(largest=16))
def test_agrees_with_the_oracle(mask: oracle.Mask) -> None:
    expected = oracle.shape_factors(mask)
    found = shape(mask)
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected.items()
    }
    assert found == pytest.approx(expected, rel=1e-14)


@given(objects(largest=40))
def test_agrees_with_other_libraries(mask: oracle.Mask) -> None:
    found = shape(mask)
    assert found["n_components"] == label(mask, connectivity=2).max()
    _, background = ndimage.label(~np.pad(mask, 1))
    assert found["n_holes"] == background - 1
    euler = euler_number(np.pad(mask, 1), connectivity=2)
    assert found["n_components"] - found["n_holes"] == euler  # type: ignore[operator]
    steps = np.pad(mask, 1).astype(int)
    crossed = sum(int(np.abs(np.diff(steps, axis=axis)).sum()) for axis in (0, 1))
    assert found["perimeter_px"] == crossed
    centres = np.argwhere(mask)
    corners = np.concatenate([centres + shift for shift in ([0, 0], [0, 1], [1, 0], [1, 1])])
    assert found["solidity"] == pytest.approx(mask.sum() / ConvexHull(corners).volume)


@given(objects(largest=40))
def test_the_centre_is_the_prompts(mask: oracle.Mask) -> None:
    assert shape(mask)["center_inside"] == (ObjectGeometry.from_mask(mask).centre is not None)


@given(objects(), st.sampled_from(["rows", "columns", "transposed"]))
def test_mirrors_change_nothing_but_the_rounding_of_the_centre(mask: oracle.Mask, how: str) -> None:
    mirrored = {"rows": mask[::-1], "columns": mask[:, ::-1], "transposed": mask.T}[how]
    before, after = shape(mask), shape(mirrored)
    if how != "transposed":
        before.pop("center_inside"), after.pop("center_inside")
    assert before == after


@given(objects(), st.tuples(*[st.integers(0, 5)] * 4))
def test_only_the_border_and_the_fraction_depend_on_the_place(
    mask: oracle.Mask, margins: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = margins
    placed = np.pad(mask, ((top, bottom), (left, right)))
    before, after = shape(mask), shape(placed)
    for values in (before, after):
        values.pop("touches_border"), values.pop("area_fraction")
    assert before == after


@given(objects())
def test_bounds(mask: oracle.Mask) -> None:
    found = compute_factors(mask, np.resize(ANY, mask.shape))
    perimeter = found["perimeter_px"]
    assert isinstance(perimeter, int)
    assert perimeter % 2 == 0
    assert 4 * math.sqrt(mask.sum()) <= perimeter <= 4 * mask.sum()
    assert 0 < found["compactness"] <= math.pi / 4 * (1 + 1e-15)  # type: ignore[operator]
    assert 0 < found["solidity"] <= 1  # type: ignore[operator]
    assert 0 < found["area_fraction"] <= 1  # type: ignore[operator]
    assert 1 <= found["n_components"] <= found["area_px"]  # type: ignore[operator]


@pytest.mark.parametrize("size", [400, 512])
def test_large_speckled_masks(size: int) -> None:
    mask = np.random.default_rng(size).random((size, size)) < 0.4
    found = shape(mask)
    assert found["n_components"] == label(mask, connectivity=2).max()
    assert found["n_holes"] == ndimage.label(~np.pad(mask, 1))[1] - 1


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 99))
def test_positions_are_those_of_flatnonzero(n: int, share: float, seed: int) -> None:
    flags = np.random.default_rng(seed).random(n) < share
    np.testing.assert_array_equal(true_positions(flags), np.flatnonzero(flags))
