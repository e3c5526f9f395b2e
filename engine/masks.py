"""Masks where they are: numpy arrays in the host's memory, or torch tensors on a device.

What a model returns decides where its masks are counted and measured. Only a mask that somebody
looks at, or that a prompter reacts to, is copied to the host (`on_host`). Packed masks hold eight
pixels to a byte, the first in the highest bit, as `numpy.packbits` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # tensors are told by what they are not, so that nothing here loads torch
    import torch

Masks: TypeAlias = "NDArray[np.bool_] | torch.Tensor"
"""bool[..., y, x]."""

Packed: TypeAlias = "NDArray[np.uint8] | torch.Tensor"
"""uint8[..., y, ceil(x / 8)]."""

WORK_BYTES = 256 * 1024 * 1024
"""Most bytes that work on a device holds for a moment, beside its input and output."""


def on_host(array: Any) -> Any:
    """The same values as a numpy array; copies a tensor, and waits for its device."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def like(array: NDArray[np.uint8], other: Packed) -> Any:
    """`array` where `other` is."""
    return array if isinstance(other, np.ndarray) else other.new_tensor(array)


def pieces(count: int, bytes_each: int, most: int = WORK_BYTES) -> Iterator[slice]:
    """Cuts of `count` items, in order, of as many as fit `most` bytes; at least one each."""
    step = max(1, most // max(1, bytes_each))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def pack(masks: Masks) -> Any:
    """`Packed` of bool[..., y, x], in the same place."""
    if isinstance(masks, np.ndarray):
        return np.packbits(masks, axis=-1)
    width = masks.shape[-1]
    padded = masks.new_zeros((*masks.shape[:-1], -(-width // 8) * 8))
    padded[..., :width] = masks
    packed = padded[..., 0::8].byte()
    for bit in range(1, 8):
        packed = packed << 1 | padded[..., bit::8].byte()
    return packed


def unpack(packed: Packed, width: int) -> Any:
    """bool[..., y, width] of packed masks, in the same place."""
    if isinstance(packed, np.ndarray):
        return np.unpackbits(packed, axis=-1, count=width).astype(np.bool_)
    bits = packed.new_empty((*packed.shape, 8))
    for bit in range(8):
        bits[..., bit] = packed >> (7 - bit) & 1
    return bits.flatten(-2)[..., :width].bool()


def count_pixels(packed: Packed) -> Any:
    """int64[...]: pixels of each packed mask, in the same place."""
    if isinstance(packed, np.ndarray):
        return np.bitwise_count(packed).sum(axis=(-2, -1), dtype=np.int64)
    # Torch has no population count: sums of neighbouring bits, pairs and quads, within each byte.
    ones = packed - (packed >> 1 & 0x55)
    ones = (ones & 0x33) + (ones >> 2 & 0x33)
    ones = (ones + (ones >> 4)) & 0x0F
    return ones.flatten(-2).long().sum(dim=-1)


def boxes_of(masks: Masks) -> NDArray[np.float32]:
    """float32[k, 4], XYXY inclusive pixel corners of bool[k, y, x]; zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.float32)
    sides = on_host(masks.any(1)), on_host(masks.any(2))
    for box, columns, rows in zip(boxes, *sides, strict=True):
        x, y = np.flatnonzero(columns), np.flatnonzero(rows)
        if len(x):
            box[:] = x[0], y[0], x[-1], y[-1]
    return boxes
