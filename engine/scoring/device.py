"""Counts and border distances of a batch of masks where they are: the twin for torch tensors.

Everything stays on the masks' device but the integers of the counts and seven numbers for each
direction of each comparison, from which the host makes the scores as the other twin does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from engine.masks import count_pixels, on_host, pack, pieces
from engine.scoring import border_tensors as tensors
from engine.scoring.border_tensors import Pixels
from engine.scoring.counts import Ints
from engine.scoring.distances import TIE, Distances, TruthBorder

PIXEL_BYTES = 48
"""Bytes that one pixel of one comparison takes for a moment."""


@dataclass(frozen=True, eq=False)
class DeviceTruth:
    """One object's ground truth on a device; see `TruthBorder`.

    Attributes:
        bits: uint8[y, ceil(x / 8)], its pixels, packed.
        rows, columns: int64[n], its border pixels.
        field: int32[y, x], rows to the nearest border pixel, of the whole slice.
    """

    bits: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    field: torch.Tensor


_PREPARED: WeakKeyDictionary[TruthBorder, dict[torch.device, DeviceTruth]] = WeakKeyDictionary()


def on_device(truth: TruthBorder, device: torch.device) -> DeviceTruth:
    """An object's ground truth on `device`: copied once, gone with the object."""
    copies = _PREPARED.setdefault(truth, {})
    if device not in copies:
        copies[device] = _copied(truth, device)
    return copies[device]


def _copied(truth: TruthBorder, device: torch.device) -> DeviceTruth:
    region, border = truth.region, truth.border
    mask = np.zeros((region.height, region.width), np.bool_)
    mask[region.y0 : region.y1 + 1, region.x0 : region.x1 + 1] = region.crop
    far = tensors.far_in(*mask.shape)
    field = np.full(mask.shape, far, np.int32)
    field[:, border.x0 : border.x1 + 1] = np.minimum(truth.field, far)
    rows, columns = np.nonzero(border.pixels)
    arrays = np.packbits(mask, axis=-1), rows + border.y0, columns + border.x0, field
    return DeviceTruth(*(torch.from_numpy(array).to(device) for array in arrays))


def count_together(truths: Sequence[TruthBorder], masks: Sequence[Any]) -> tuple[Ints, Ints]:
    """tp and pred_px, int64[n, c] each, in one transfer; see `batch.count_all`.

    Args:
        masks: n of bool[c, y, x], tensors of one device.
    """
    sides, which = _distinct(truths, masks[0].device)
    packed = pack(torch.stack(list(masks)))
    hits = packed & torch.stack([side.bits for side in sides])[which][:, None]
    tp, pred_px = on_host(torch.stack([count_pixels(hits), count_pixels(packed)]))
    return tp, pred_px


def measure_together(truths: Sequence[TruthBorder], masks: Sequence[Any]) -> list[Distances]:
    """All distances of n predictions, in one transfer a piece; see `batch.measure_all`.

    Args:
        masks: n of bool[y, x], tensors of one device, none empty.
    """
    found: list[Distances] = []
    for part in pieces(len(masks), PIXEL_BYTES * math.prod(masks[0].shape)):
        found += _measure(truths[part], torch.stack(list(masks[part])))
    return found


def _measure(truths: Sequence[TruthBorder], masks: torch.Tensor) -> list[Distances]:
    """Distances of one piece of a batch."""
    comparison = _compare(truths, masks)
    limits = torch.tensor([_limits_sq(truth) for truth in truths], dtype=torch.float64)
    limits = limits.to(masks.device)
    tables = [comparison.table(limits[:, :2], None)]
    if any(_uneven(truth) for truth in truths):
        sides = [truth.spacing_mm or (1.0, 1.0) for truth in truths]
        spacing = torch.tensor(sides, dtype=torch.float64).to(masks.device)
        tables.append(comparison.table(limits[:, 2:], spacing * spacing))
    there, back = on_host(torch.cat(tables, dim=-1)).tolist()
    return [_distances(*pair) for pair in zip(truths, there, back, strict=True)]


def _uneven(truth: TruthBorder) -> bool:
    return truth.spacing_mm is not None and truth.spacing_mm[0] != truth.spacing_mm[1]


def _limits_sq(truth: TruthBorder) -> tuple[float, float, float]:
    """Squares within tolerance: in pixels; in pixels of an even spacing for mm; in mm."""
    limit = truth.tolerance_mm * (1 + TIE)
    row = truth.spacing_mm[0] if truth.spacing_mm else 1.0
    return float(truth.limit_sq_px), (limit / row) ** 2, limit**2


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Predictions and truths, cut to the window that holds them all.

    Attributes:
        fields: int32[k, y, x] of each prediction, and of each distinct truth.
        edges: border pixels, likewise, a comparison for each prediction.
        truth: int64[k], which truth each prediction is compared with.
    """

    fields: tuple[torch.Tensor, torch.Tensor]
    edges: tuple[Pixels, Pixels]
    truth: torch.Tensor

    def table(self, limits_sq: torch.Tensor, spacing_sq: torch.Tensor | None) -> torch.Tensor:
        """float64[2, k, ...]: `summary` of prediction to truth, and of truth to prediction."""
        prediction, truth = self.edges
        there = tensors.nearest_sq(
            self.fields[1], self.truth[prediction.pair], prediction, spacing_sq
        )
        back = tensors.nearest_sq(self.fields[0], truth.pair, truth, spacing_sq)
        return torch.stack(
            [
                tensors.summary(there, prediction, limits_sq),
                tensors.summary(back, truth, limits_sq),
            ]
        )


def _compare(truths: Sequence[TruthBorder], masks: torch.Tensor) -> _Comparison:
    rows, columns = _window(truths, masks)
    edges = tensors.border(masks[:, rows, columns])
    sides, which = _distinct(truths, masks.device)
    far = tensors.far_in(*edges.shape[1:])
    of_sides = torch.stack([side.field[rows, columns] for side in sides]).clamp_(max=far)
    fields = tensors.column_distance(edges, far), of_sides
    of_truths = _border_pixels([sides[i] for i in which], rows.start, columns.start)
    truth = torch.tensor(which).to(masks.device)
    return _Comparison(fields, (tensors.pixels_of(edges), of_truths), truth)


def _window(truths: Sequence[TruthBorder], masks: torch.Tensor) -> tuple[slice, slice]:
    """Rows and columns of the smallest window around all masks and truths."""
    filled, height = masks.any(dim=0), masks.shape[1]
    used = on_host(torch.cat([filled.any(dim=1), filled.any(dim=0)]))
    rows, columns = np.flatnonzero(used[:height]), np.flatnonzero(used[height:])
    regions = {truth.region for truth in truths}
    y0, x0 = min(r.y0 for r in regions), min(r.x0 for r in regions)
    y1, x1 = max(r.y1 for r in regions), max(r.x1 for r in regions)
    return (
        slice(min(y0, int(rows[0])), max(y1, int(rows[-1])) + 1),
        slice(min(x0, int(columns[0])), max(x1, int(columns[-1])) + 1),
    )


def _border_pixels(sides: Sequence[DeviceTruth], y0: int, x0: int) -> Pixels:
    """Border pixels of a truth for each comparison, in a window that begins at (y0, x0)."""
    device, lengths = sides[0].rows.device, [len(side.rows) for side in sides]
    counts = torch.tensor(lengths).to(device)
    pair = torch.repeat_interleave(
        torch.arange(len(sides), device=device), counts, output_size=sum(lengths)
    )
    rows, columns = (torch.cat([getattr(s, name) for s in sides]) for name in ("rows", "columns"))
    return Pixels(pair, rows - y0, columns - x0, counts)


def _distinct(
    truths: Sequence[TruthBorder], device: torch.device
) -> tuple[list[DeviceTruth], list[int]]:
    """The distinct truths, and for each of the n which of them it is."""
    place = {truth: i for i, truth in enumerate(dict.fromkeys(truths))}
    return [on_device(truth, device) for truth in place], [place[truth] for truth in truths]


@dataclass(frozen=True, slots=True)
class _Direction:
    """One row of `border_tensors.summary`, without its limits."""

    count: float
    largest_sq: float
    low_sq: float
    high_sq: float
    total: float

    @property
    def percentile_95(self) -> float:
        """Linear interpolation between the two roots around it."""
        position, low = 0.95 * (self.count - 1), math.sqrt(self.low_sq)
        return low + (math.sqrt(self.high_sq) - low) * (position - int(position))


def _distances(truth: TruthBorder, there: list[float], back: list[float]) -> Distances:
    """Scores of one comparison from its rows of `_Comparison.table`: 5 + 2, then 5 + 1 numbers."""
    px = _summary(there[:5], back[:5])
    nsd, nsd_mm = ((there[k] + back[k]) / (there[0] + back[0]) for k in (5, 6))
    if truth.spacing_mm is None:
        return Distances(*px, nsd)
    if not _uneven(truth):
        side = truth.spacing_mm[0]
        return Distances(*px, nsd, px[0] * side, px[1] * side, px[2] * side, nsd_mm)
    nsd_mm = (there[12] + back[12]) / (there[0] + back[0])
    return Distances(*px, nsd, *_summary(there[7:12], back[7:12]), nsd_mm)


def _summary(there: list[float], back: list[float]) -> tuple[float, float, float]:
    """(hausdorff, hd95, assd) of both directions, as `border_kernels.summary`."""
    one, two = _Direction(*there), _Direction(*back)
    hausdorff = math.sqrt(max(one.largest_sq, two.largest_sq))
    hd95 = max(one.percentile_95, two.percentile_95)
    return hausdorff, hd95, (one.total + two.total) / (one.count + two.count)
