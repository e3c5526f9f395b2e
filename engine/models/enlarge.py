"""Masks on the image's grid from the decoder's small logits, in one step, on a CPU.

SAM enlarges bilinearly twice: to the model's input, and, without the padding, to the image. Both
are separable and linear, so together they are one operator per axis, in which a row (or column) of
the image sees at most three neighbouring rows (columns) of the logits. The large logits are never
stored: a pixel's value becomes a bit of the mask, and a count, in a register.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from engine.compiled import compiled
from engine.models.preprocessing import frame_size

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TAPS = 3
"""Logits that an output pixel can see along one axis."""

DEVICE_BYTES = 512 * 1024 * 1024
"""Most bytes of enlarged logits on a GPU at once: bounds memory and changes no value."""


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
        masks: bool[k, y, x], logits > 0.
        inner, outer: int64[k], pixels above +offset and above -offset.
        boxes: int64[k, 4], XYXY inclusive; zeros for an empty mask.
    """

    masks: NDArray[np.bool_]
    inner: Ints
    outer: Ints
    boxes: Ints


@dataclass(frozen=True, eq=False)
class Enlarger:
    """The operator for images of one size: [k, l, l] logits to [k, height, width] masks."""

    rows: Axis
    columns: Axis

    def measure(self, logits: Floats, offset: float) -> Measured:
        """Masks, areas and boxes of float32[k, l, l] logits, on a CPU."""
        count, shape = len(logits), (len(self.rows.first), len(self.columns.first))
        masks = np.zeros((count, *shape), np.uint8)
        areas, boxes = np.zeros((count, 2), np.int64), np.zeros((count, 4), np.int64)
        _enlarge(
            np.ascontiguousarray(logits, np.float32),
            self.rows.first, self.rows.weights, self.columns.first, self.columns.weights,
            np.float32(offset), masks, areas, boxes,
        )  # fmt: skip
        return Measured(masks.view(np.bool_), areas[:, 0], areas[:, 1], boxes)

    def measure_on_device(self, logits: torch.Tensor, offset: float) -> Measured:
        """The same by two dense products, where the logits are; only masks and counts come back."""
        rows, columns = (
            torch.from_numpy(axis.dense(logits.shape[-1])).to(logits.device)
            for axis in (self.rows, self.columns)
        )
        step = max(1, DEVICE_BYTES // (4 * len(rows) * len(columns)))
        parts = []
        for start in range(0, len(logits), step):
            large = rows @ logits[start : start + step].float() @ columns.T
            inner, outer = (
                (large > at).count_nonzero(dim=(1, 2)).cpu().numpy() for at in (offset, -offset)
            )
            masks = (large > 0).cpu().numpy()
            parts.append(Measured(masks, inner, outer, mask_boxes(masks)))
        return _joined(parts) if parts else self.measure(np.zeros((0, *logits.shape[1:])), offset)


def enlarged_masks(
    logits: torch.Tensor, height: int, width: int, input_size: int
) -> NDArray[np.bool_]:
    """bool[n, c, height, width]: where float[n, c, l, l] logits, enlarged, are above 0."""
    n, c, low, _ = logits.shape
    flat = measured(logits.reshape(n * c, low, low), height, width, input_size, 0.0)
    return flat.masks.reshape(n, c, height, width)


def measured(
    logits: torch.Tensor, height: int, width: int, input_size: int, offset: float
) -> Measured:
    """Masks, areas and boxes of float[k, l, l] logits enlarged to an image.

    Args:
        input_size: side of the model's square input, of which the image fills the upper left.
    """
    operator = enlarger(height, width, input_size, logits.shape[-1])
    if logits.device.type == "cpu":
        return operator.measure(logits.detach().numpy(), offset)
    return operator.measure_on_device(logits, offset)


def mask_boxes(masks: NDArray[np.bool_]) -> Ints:
    """int64[k, 4], XYXY inclusive pixel corners of bool[k, y, x]; zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.int64)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def _joined(parts: list[Measured]) -> Measured:
    return Measured(
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.inner for part in parts]),
        np.concatenate([part.outer for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )


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
    return Axis(first.astype(np.int64), np.array(weights, np.float32))


@compiled
def _span(starts: Ints, ends: Ints, first: int, last: int, low: int) -> tuple[int, int]:
    """First and last column with a logit above -offset in rows first..last; last < first: none."""
    left, right = low, -1
    for row in range(first, last + 1):
        left, right = min(left, starts[row]), max(right, ends[row])
    return left, right


@compiled
def _row(
    one: Floats,
    two: Floats,
    three: Floats,
    weights: tuple[np.float32, np.float32, np.float32],
    offset: np.float32,
    mask: NDArray[np.uint8],
) -> tuple[int, int, int]:
    """A row of the mask from three rows of logits; pixels above 0, +offset and -offset.

    Whole rows, one after another in memory: only then does the loop become vector instructions.
    """
    above = inner = outer = np.int32(0)
    for x in range(len(mask)):
        value = weights[0] * one[x] + weights[1] * two[x] + weights[2] * three[x]
        mask[x] = value > np.float32(0)
        above += np.int32(value > np.float32(0))
        inner += np.int32(value > offset)
        outer += np.int32(value > -offset)
    return int(above), int(inner), int(outer)


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
    boxes: Ints,
) -> None:
    """Fill masks uint8[k, y, x], areas int64[k, 2] and boxes int64[k, 4], all zeros before.

    A pixel lies between the three by three logits that it sees, so where none of them is above
    -offset nothing is counted: whole rows and both ends of a row are skipped.
    """
    low, width = logits.shape[1], len(first_column)
    wide = np.zeros((low, width), np.float32)
    starts, ends = np.empty(low, np.int64), np.empty(low, np.int64)
    for k in range(len(logits)):
        for r in range(low):
            starts[r], ends[r] = low, -1
            for c in range(low):
                if logits[k, r, c] > -offset:
                    starts[r], ends[r] = min(starts[r], c), c
        for r in range(low):
            left, right = _span(starts, ends, max(0, r - 2), min(low - 1, r + 2), low)
            if right < 0:
                continue
            x0 = np.searchsorted(first_column, left - 2)
            x1 = np.searchsorted(first_column, right + 1)
            for x in range(x0, x1):
                c = first_column[x]
                wide[r, x] = (
                    column_weights[0, x] * logits[k, r, c]
                    + column_weights[1, x] * logits[k, r, c + 1]
                    + column_weights[2, x] * logits[k, r, c + 2]
                )
        inner = outer = 0
        top, bottom, first, last = len(first_row), -1, width, -1
        for y in range(len(first_row)):
            r = first_row[y]
            left, right = _span(starts, ends, r, r + 2, low)
            if right < 0:
                continue
            x0 = np.searchsorted(first_column, left - 2)
            x1 = np.searchsorted(first_column, right + 1)
            mask = masks[k, y, x0:x1]
            found = _row(
                wide[r, x0:x1],
                wide[r + 1, x0:x1],
                wide[r + 2, x0:x1],
                (row_weights[0, y], row_weights[1, y], row_weights[2, y]),
                offset,
                mask,
            )
            inner, outer = inner + found[1], outer + found[2]
            if found[0]:
                top, bottom = min(top, y), y
                here = 0
                while not mask[here]:
                    here += 1
                first = min(first, int(x0) + here)
                here = len(mask) - 1
                while not mask[here]:
                    here -= 1
                last = max(last, int(x0) + here)
        areas[k, 0], areas[k, 1] = inner, outer
        if bottom >= 0:
            boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = first, top, last, bottom
