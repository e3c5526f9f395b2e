"""Every mask must come back exactly from its layer and value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from engine.collection.layers import Part, layer, part_of, unite

SHAPE = (2, 4, 5)
MASKS = st.lists(arrays(np.bool_, SHAPE), max_size=7)


def parts(masks: list[NDArray[np.bool_]]) -> list[Part]:
    found = [part_of(f"s{n}", mask) for n, mask in enumerate(masks)]
    return [part for part in found if part is not None]


@given(MASKS)
def test_every_mask_is_recovered_exactly(masks: list[NDArray[np.bool_]]) -> None:
    labels, meaning = layer(parts(masks), SHAPE)
    by_name = {m.structure: labels[m.layer] == m.value for m in meaning}
    assert set(by_name) == {f"s{n}" for n, mask in enumerate(masks) if mask.any()}
    for name, mask in by_name.items():
        np.testing.assert_array_equal(mask, masks[int(name[1:])])
    present = {(n, int(v)) for n, one in enumerate(labels) for v in np.unique(one) if v}
    assert present == {(m.layer, m.value) for m in meaning}
    assert len(meaning) == len(present)


@given(MASKS)
def test_layers_are_first_fit(masks: list[NDArray[np.bool_]]) -> None:
    """No more layers than one plus the largest number of masks another one overlaps."""
    labels, _ = layer(parts(masks), SHAPE)
    depth = max(1, int(np.sum(masks, axis=0).max())) if masks else 1
    overlaps = [sum(bool((a & b).any()) for b in masks) - 1 for a in masks if a.any()]
    assert depth <= len(labels) <= 1 + max(overlaps, default=0)


@given(arrays(np.uint8, SHAPE, elements=st.integers(0, 9)))
def test_a_label_map_stays_in_one_layer(values: NDArray[np.uint8]) -> None:
    labels, meaning = layer(parts([values == v for v in range(1, 10)]), SHAPE)
    assert labels.shape == (1, *SHAPE)
    np.testing.assert_array_equal(labels[0] > 0, values > 0)
    assert labels.dtype == np.uint8
    assert [m.value for m in meaning] == list(range(1, len(meaning) + 1))


def test_more_than_255_objects_need_sixteen_bits() -> None:
    dots = np.zeros((1, 16, 20), dtype=np.int64)
    dots.ravel()[:300] = np.arange(300) + 1
    many = [part_of("cell", dots == n, n) for n in range(1, 301)]
    labels, meaning = layer([p for p in many if p is not None], dots.shape)
    assert labels.dtype == np.uint16
    assert labels.shape[0] == 1
    np.testing.assert_array_equal(labels[0], dots)
    assert [m.instance for m in meaning] == list(range(1, 301))
    few, _ = layer([p for p in many[:255] if p is not None], dots.shape)
    assert few.dtype == np.uint8


def test_nothing_gives_one_empty_layer() -> None:
    labels, meaning = layer([], SHAPE)
    assert labels.shape == (1, *SHAPE)
    assert not labels.any()
    assert meaning == ()


def test_a_full_layer_makes_room_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.collection.layers._MOST_VALUES", 2)
    masks = [np.zeros(SHAPE, dtype=np.bool_) for _ in range(3)]
    for n, mask in enumerate(masks):
        mask[0, 0, n] = True
    labels, meaning = layer(parts(masks), SHAPE)
    assert [(m.layer, m.value) for m in meaning] == [(0, 1), (0, 2), (1, 1)]
    assert labels.shape[0] == 2


@given(MASKS, st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_components_are_united(masks: list[NDArray[np.bool_]], names: list[int]) -> None:
    pieces = [
        part
        for mask, name in zip(masks, names, strict=False)
        if (part := part_of(f"s{name}", mask)) is not None
    ]
    labels, meaning = layer(unite(pieces), SHAPE)
    for m in meaning:
        own = [k for k, name in zip(masks, names, strict=False) if m.structure == f"s{name}"]
        np.testing.assert_array_equal(labels[m.layer] == m.value, np.any(own, axis=0))
    assert len({m.structure for m in meaning}) == len(meaning)
