"""Masks on the host and on a device: the same bits, counts and boxes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.masks import Mask, masks, shapes

from engine.masks import boxes_of, count_pixels, like, on_host, pack, pieces, unpack

STACKS = st.tuples(st.integers(0, 4), shapes(40)).flatmap(
    lambda s: st.lists(masks(s[1]), min_size=s[0], max_size=s[0]).map(
        lambda drawn: np.array(drawn, np.bool_).reshape(s[0], *s[1])
    )
)


@given(STACKS)
def test_both_places_hold_the_same(stack: Mask) -> None:
    width, there = stack.shape[-1], torch.from_numpy(stack)
    packed = pack(there)
    assert isinstance(packed, torch.Tensor)
    assert np.array_equal(on_host(packed), np.packbits(stack, axis=-1))
    assert np.array_equal(pack(stack), np.packbits(stack, axis=-1))
    for bits, kind in ((packed, torch.Tensor), (pack(stack), np.ndarray)):
        restored = unpack(bits, width)
        assert isinstance(restored, kind)
        assert np.array_equal(on_host(restored), stack)
        counted = count_pixels(bits)
        assert isinstance(counted, kind)
        assert on_host(counted).tolist() == [int(mask.sum()) for mask in stack]
        assert isinstance(like(np.zeros(3, np.uint8), bits), kind)
    assert np.array_equal(boxes_of(there), boxes_of(stack))


def test_each_byte_is_counted() -> None:
    every = np.arange(256, dtype=np.uint8)[:, None, None]
    expected = [bin(value).count("1") for value in range(256)]
    assert count_pixels(torch.from_numpy(every)).tolist() == expected
    assert count_pixels(every).tolist() == expected


def test_boxes_of_masks() -> None:
    stack = np.zeros((3, 5, 7), np.bool_)
    stack[1, 2:4, 3:7] = True
    stack[2, 0, 0] = True
    assert boxes_of(stack).tolist() == [[0, 0, 0, 0], [3, 2, 6, 3], [0, 0, 0, 0]]


@given(st.integers(0, 50), st.integers(0, 9), st.integers(1, 40))
def test_pieces_cover_all_within_the_bound(count: int, bytes_each: int, most: int) -> None:
    cuts = [range(count)[part] for part in pieces(count, bytes_each, most)]
    assert [i for cut in cuts for i in cut] == list(range(count))
    assert all(len(cut) == 1 or len(cut) * bytes_each <= most for cut in cuts)
    assert bytes_each == 0 or len(cuts) <= 1 or len(cuts[0]) == max(1, most // bytes_each)
