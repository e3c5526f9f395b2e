"""Masks on the image's grid from the decoder's small logits, in one step.

SAM enlarges bilinearly twice: to the model's input, and, without the padding, to the image. Both
are separable and linear, so together they are one operator per axis, in which a row (or column) of
the image sees at most three neighbouring rows (columns) of the logits. The large logits are never
stored: on a CPU a pixel's value becomes a bit of the mask, and a count, in a register; on a device
they exist for a bounded number of masks at a time, and the masks stay there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from engine.compiled import compiled
from engine.errors import SamscopeError
from engine.masks import Masks, on_host, pieces
from engine.models.preprocessing import frame_size

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TAPS = 3
"""Logits that an output pixel can see along one axis."""

PIXEL_BYTES = 16
"""Bytes that one pixel of one mask takes for a moment on a device."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the operator: output pixel i = sum over k of weights[k, i] * logit[first[i] + k].

    Attributes:
        first: int64[out].
        weights: float32[3, out], none negative, summing to 1.
    """

    first: Ints
    weights: Floats

    def dense(self, low: int) -> Floats:
        """float32[out, low], the operator as a matrix."""
        matrix = np.zeros((len(self.first), low), np.float32)
        for tap, weights in enumerate(self.weights):
            matrix[np.arange(len(self.first)), self.first + tap] = weights
        return matrix


@dataclass(frozen=True, eq=False)
class Measured:
    """Masks with what Everything asks of them.

    Attributes:
        masks: bool[k, y, x], logits > 0; a tensor where they were measured on a device.
        inner, outer: int64[k], pixels above +offset and above -offset.
    """

    masks: Masks
    inner: Ints
    outer: Ints


@dataclass(frozen=True, eq=False)
class Enlarger:
    """The operator for images of one size: [k, l, l] logits to [k, height, width] masks."""

    rows: Axis
    columns: Axis

    def measure(self, logits: Floats, offset: float) -> Measured:
        """Masks and areas of float32[k, l, l] logits, on a CPU."""
        count, shape = len(logits), (len(self.rows.first), len(self.columns.first))
        masks = np.zeros((count, *shape), np.uint8)
        areas = np.zeros((count, 2), np.int64)
        _enlarge(
            np.ascontiguousarray(logits, np.float32),
            self.rows.first, self.rows.weights, self.columns.first, self.columns.weights,
            np.float32(offset), masks, areas,
        )  # fmt: skip
        return Measured(masks.view(np.bool_), areas[:, 0], areas[:, 1])

    def measure_on_device(self, logits: torch.Tensor, offset: float) -> Measured:
        """The same by two dense products, where the logits are; only the areas come back."""
        rows, columns = _dense(self, logits.shape[-1], logits.device)
        shape = (len(logits), len(rows), columns.shape[1])
        masks = logits.new_empty(shape, dtype=torch.bool)
        areas = logits.new_zeros((2, len(logits)), dtype=torch.int64)
        for part in pieces(len(logits), PIXEL_BYTES * math.prod(shape[1:])):
            large = rows @ logits[part].float() @ columns
            masks[part] = large > 0
            for area, at in zip(areas, (offset, -offset), strict=True):
                area[part] = (large > at).sum(dim=(1, 2))
        inner, outer = on_host(areas)
        return Measured(masks, inner, outer)


@lru_cache(maxsize=64)
def _dense(operator: Enlarger, low: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """float32[height, low] and float32[low, width]."""
    with torch.inference_mode(False):  # kept beyond the caller's mode, for training too
        rows = torch.from_numpy(operator.rows.dense(low)).to(device)
        return rows, torch.from_numpy(operator.columns.dense(low).T.copy()).to(device)


def enlarged_masks(
    logits: torch.Tensor, height: int, width: int, input_size: int, *, on_device: bool = False
) -> Masks:
    """bool[n, c, height, width]: where float[n, c, l, l] logits, enlarged, are above 0.

    Args:
        on_device: see `measured`.
    """
    n, c, low, _ = logits.shape
    flat = logits.reshape(n * c, low, low)
    found = measured(flat, height, width, input_size, 0.0, on_device=on_device)
    return found.masks.reshape(n, c, height, width)


def measured(
    logits: torch.Tensor,
    height: int,
    width: int,
    input_size: int,
    offset: float,
    *,
    on_device: bool = False,
) -> Measured:
    """Masks and areas of float[k, l, l] logits enlarged to an image.

    Args:
        input_size: side of the model's square input, of which the image fills the upper left.
        offset: at least 0. The caller bounds k: all masks exist at once.
        on_device: the masks are made, and stay, where the logits are; else on the host.
    """
    operator = enlarger(height, width, input_size, logits.shape[-1])
    if on_device:
        return operator.measure_on_device(logits, offset)
    return operator.measure(logits.detach().float().cpu().numpy(), offset)


@lru_cache(maxsize=64)
def enlarger(height: int, width: int, input_size: int, low: int) -> Enlarger:
    """The operator from `low` x `low` logits to a `height` x `width` image.

    Args:
        input_size: side of the model's square input, of which the image fills the upper left.
    """
    frame_height, frame_width = frame_size(height, width, input_size)
    return Enlarger(
        _axis(low, input_size, frame_height, height), _axis(low, input_size, frame_width, width)
    )


def _axis(low: int, input_size: int, frame: int, out: int) -> Axis:
    """Both steps on unit vectors, by torch itself: its own weights, in float64 and composed."""
    unit = torch.eye(low)[:, None, :, None]  # float32: torch rounds its weights in the data's type
    square = interpolate(unit, (input_size, 1), mode="bilinear", align_corners=False)
    step = torch.eye(frame)[:, None, :, None]
    last = interpolate(step, (out, 1), mode="bilinear", align_corners=False)
    whole = (last[:, 0, :, 0].double().T @ square[:, 0, :frame, 0].double().T).numpy()
    first = np.minimum((whole > 0).argmax(axis=1), low - TAPS)
    weights = [whole[np.arange(out), first + tap] for tap in range(TAPS)]
    if not np.allclose(np.sum(weights, axis=0), 1):
        raise SamscopeError(
            "masks of this model cannot be enlarged in one step",
            got=f"{low} logits for {input_size} pixels of the input",
            expected=f"a pixel sees at most {TAPS} logits: no more logits than pixels, at least 3",
        )
    return Axis(first.astype(np.int64), np.array(weights, np.float32))


@compiled
def _find_spans(logits: Floats, least: np.float32, starts: Ints, ends: Ints) -> None:
    """First and last column above `least` of each row of float32[l, l]; last < first: none."""
    for r in range(len(logits)):
        starts[r], ends[r] = len(logits), -1
        for c in range(len(logits)):
            if logits[r, c] > least:
                starts[r], ends[r] = min(starts[r], c), c


@compiled
def _seen(
    starts: Ints, ends: Ints, first: int, last: int, first_column: Ints
) -> tuple[np.intp, np.intp]:
    """Columns of the image, x0 and the one after the last, that see a span of rows first..last."""
    left, right = len(starts), -1
    for row in range(max(0, first), min(len(starts) - 1, last) + 1):
        left, right = min(left, starts[row]), max(right, ends[row])
    if right < 0:
        return np.intp(0), np.intp(0)
    return np.searchsorted(first_column, left - 2), np.searchsorted(first_column, right + 1)


@compiled
def _widen(
    logits: Floats, first: Ints, weights: Floats, starts: Ints, ends: Ints, wide: Floats
) -> None:
    """Rows of float32[l, l] logits at the image's width, where a row of the image will look."""
    for r in range(len(logits)):
        x0, x1 = _seen(starts, ends, r - 2, r + 2, first)
        for x in range(x0, x1):
            c = first[x]
            wide[r, x] = (
                weights[0, x] * logits[r, c]
                + weights[1, x] * logits[r, c + 1]
                + weights[2, x] * logits[r, c + 2]
            )


@compiled
def _row(
    one: Floats,
    two: Floats,
    three: Floats,
    weights: tuple[np.float32, np.float32, np.float32],
    offset: np.float32,
    mask: NDArray[np.uint8],
) -> tuple[int, int]:
    """A row of the mask from three rows of logits; pixels above +offset and above -offset.

    Whole rows, one after another in memory: only then does the loop become vector instructions.
    """
    inner = outer = np.int32(0)
    for x in range(len(mask)):
        value = weights[0] * one[x] + weights[1] * two[x] + weights[2] * three[x]
        mask[x] = value > np.float32(0)
        inner += np.int32(value > offset)
        outer += np.int32(value > -offset)
    return int(inner), int(outer)


@compiled
def _enlarge(
    logits: Floats,
    first_row: Ints,
    row_weights: Floats,
    first_column: Ints,
    column_weights: Floats,
    offset: np.float32,
    masks: NDArray[np.uint8],
    areas: Ints,
) -> None:
    """Fill masks uint8[k, y, x] and areas int64[k, 2], all zeros before.

    A pixel lies between the three by three logits that it sees, so where none of them is above
    -offset nothing is counted: whole rows and both ends of a row are skipped.
    """
    low = logits.shape[1]
    wide = np.zeros((low, len(first_column)), np.float32)
    starts, ends = np.empty(low, np.int64), np.empty(low, np.int64)
    for k in range(len(logits)):
        _find_spans(logits[k], -offset, starts, ends)
        _widen(logits[k], first_column, column_weights, starts, ends, wide)
        for y in range(len(first_row)):
            r = first_row[y]
            x0, x1 = _seen(starts, ends, r, r + 2, first_column)
            inner, outer = _row(
                wide[r, x0:x1],
                wide[r + 1, x0:x1],
                wide[r + 2, x0:x1],
                (row_weights[0, y], row_weights[1, y], row_weights[2, y]),
                offset,
                masks[k, y, x0:x1],
            )
            areas[k, 0] += inner
            areas[k, 1] += outer
