"""Everything: masks of a whole slice from a grid of points on its embedding.

Equal to `segment_anything`'s SamAutomaticMaskGenerator without crops and minimum area, but it
starts from the embedding, drops masks by predicted IoU before enlarging them, and breaks ties in
a stated order (protocol section 3, S1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

from engine.models.base import Embedding, EverythingMasks
from engine.models.decoding import (
    MASK_THRESHOLD,
    MULTIMASK,
    PromptTensors,
    low_res_logits,
    upscaled_parts,
)
from engine.models.preprocessing import to_input_frame
from engine.study import EverythingParams

MASKS_PER_POINT = 3


@dataclass(frozen=True)
class _Found:
    """Masks that passed both thresholds, in grid and mask order.

    Attributes:
        packed: uint8[k, y, ceil(x / 8)].
        boxes: float32[k, 4], XYXY inclusive corners; zeros for an empty mask.
        predicted_iou, stability_score: float32[k].
        raw_index: int64[k], point * 3 + mask.
    """

    packed: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]
    stability_score: NDArray[np.float32]
    raw_index: NDArray[np.int64]

    def take(self, index: NDArray[np.intp]) -> _Found:
        return _Found(
            self.packed[index],
            self.boxes[index],
            self.predicted_iou[index],
            self.stability_score[index],
            self.raw_index[index],
        )


def grid_points(points_per_side: int, height: int, width: int) -> NDArray[np.float64]:
    """float64[points, 2], xy, original pixels: centres of a regular grid's cells, row-major."""
    offset = 1 / (2 * points_per_side)
    one_side = np.linspace(offset, 1 - offset, points_per_side)
    y, x = np.meshgrid(one_side, one_side, indexing="ij")
    return np.stack([x.ravel() * width, y.ravel() * height], axis=-1)


def segment_everything(
    network: Any, embedding: Embedding, params: EverythingParams, batch: int
) -> EverythingMasks:
    """All masks of a slice that pass the thresholds and box suppression.

    Order: descending predicted IoU, then grid point row-major, then mask index; suppression walks
    in it. A threshold <= 0 keeps everything, as in SAM; a stability score is 0 where SAM's is
    undefined (no pixel above -offset).

    Args:
        network: a Sam module, on the embedding's device.
        batch: grid points per decoder pass; the last pass may be shorter.
    """
    points = grid_points(params.points_per_side, embedding.height, embedding.width)
    found = _concatenate(
        [
            _batch(network, embedding, points[start : start + batch], start, params)
            for start in range(0, len(points), batch)
        ]
    )
    found = found.take(np.argsort(-found.predicted_iou, kind="stable"))
    found = found.take(suppress(found.boxes, params.box_nms_thresh))
    return EverythingMasks(
        packed=found.packed,
        width=embedding.width,
        predicted_iou=found.predicted_iou,
        stability_score=found.stability_score,
        points=points[found.raw_index // MASKS_PER_POINT],
        mask_index=found.raw_index % MASKS_PER_POINT,
        n_raw=len(points) * MASKS_PER_POINT,
    )


def suppress(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Indices of `boxes` left after non-maximum suppression in the order given, ascending.

    Args:
        boxes: float32[k, 4], XYXY.
        threshold: a box goes when its IoU with one kept before exceeds it.
    """
    # Ranks instead of scores: the walk cannot depend on how a sort treats ties.
    ranks = -torch.arange(len(boxes), dtype=torch.float32)
    kept = torchvision.ops.nms(torch.from_numpy(boxes), ranks, threshold)
    return np.asarray(kept.numpy(), dtype=np.intp)


def _batch(
    network: Any,
    embedding: Embedding,
    points: NDArray[np.float64],
    first_point: int,
    params: EverythingParams,
) -> _Found:
    """One decoder pass: decode, drop by predicted IoU, enlarge, drop by stability."""
    size = network.image_encoder.img_size
    height, width = embedding.height, embedding.width
    device = embedding.features.device
    frame = to_input_frame(points, height, width, size)
    # float64 as in SAM's generator: the prompt encoder rounds after shifting and dividing.
    coords = torch.as_tensor(frame, device=device)[:, None, :]
    labels = torch.ones((len(points), 1), dtype=torch.int32, device=device)
    logits, iou = low_res_logits(
        network, embedding.features[None], PromptTensors(coords, labels, None)
    )
    logits, iou = logits[:, MULTIMASK].flatten(0, 1), iou[:, MULTIMASK].flatten(0, 1)
    raw = torch.arange(len(iou), device=device) + first_point * MASKS_PER_POINT
    if params.pred_iou_thresh > 0:
        keep = iou > params.pred_iou_thresh
        logits, iou, raw = logits[keep], iou[keep], raw[keep]
    parts = [_empty(height, width)]
    for part, values in upscaled_parts(_in_threes(logits), height, width, size):
        some = slice(part.start * MASKS_PER_POINT, part.stop * MASKS_PER_POINT)
        own = values.flatten(0, 1)[: len(iou[some])]
        parts.append(_stable(own, iou[some], raw[some], params))
    return _concatenate(parts)


def _in_threes(logits: torch.Tensor) -> torch.Tensor:
    """float[ceil(k / 3), 3, h, w] of float[k, h, w], zeros at the end: see `upscale`."""
    missing = -len(logits) % MASKS_PER_POINT
    padding = logits.new_zeros((missing, *logits.shape[1:]))
    return torch.cat([logits, padding]).reshape(-1, MASKS_PER_POINT, *logits.shape[1:])


def _stable(
    logits: torch.Tensor, iou: torch.Tensor, raw: torch.Tensor, params: EverythingParams
) -> _Found:
    """The masks of float[k, y, x] logits whose stability reaches its threshold."""
    stability = stability_scores(logits, params.stability_score_offset)
    if params.stability_score_thresh > 0:
        keep = stability >= params.stability_score_thresh
        logits, iou, raw, stability = logits[keep], iou[keep], raw[keep], stability[keep]
    masks = (logits > MASK_THRESHOLD).cpu().numpy()
    return _Found(
        packed=np.packbits(masks, axis=-1),
        boxes=mask_boxes(masks),
        predicted_iou=iou.cpu().numpy().astype(np.float32),
        stability_score=stability.cpu().numpy().astype(np.float32),
        raw_index=raw.cpu().numpy(),
    )


def stability_scores(logits: torch.Tensor, offset: float) -> torch.Tensor:
    """float32[k], 0..1: IoU of the masks cut at threshold +offset and -offset.

    Args:
        logits: float[k, y, x].
    """
    inner = torch.count_nonzero(logits > MASK_THRESHOLD + offset, dim=(-2, -1))
    outer = torch.count_nonzero(logits > MASK_THRESHOLD - offset, dim=(-2, -1))
    return torch.nan_to_num(inner / outer, nan=0.0)


def mask_boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32[k, 4], XYXY inclusive pixel corners of bool[k, y, x]; zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def _empty(height: int, width: int) -> _Found:
    none = np.zeros(0, np.float32)
    packed = np.zeros((0, height, (width + 7) // 8), np.uint8)
    return _Found(packed, np.zeros((0, 4), np.float32), none, none, np.zeros(0, np.int64))


def _concatenate(parts: list[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.packed for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.predicted_iou for part in parts]),
        np.concatenate([part.stability_score for part in parts]),
        np.concatenate([part.raw_index for part in parts]),
    )
