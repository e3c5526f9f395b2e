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
from numpy.typing import NDArray

from engine.masks import Packed, boxes_of, pack
from engine.models.base import Embedding, EverythingMasks
from engine.models.decoding import PromptTensors
from engine.models.enlarge import Measured, measured
from engine.models.numerics import Numerics, out_of_memory
from engine.models.preprocessing import to_input_frame
from engine.models.prompt_decoder import MULTIMASK_TOKENS, PromptDecoder
from engine.study import EverythingParams

MASKS_PER_POINT = 3


@dataclass(frozen=True)
class _Found:
    """Masks that passed both thresholds, in grid and mask order.

    Attributes:
        packed: uint8[k, y, ceil(x / 8)], on the device where the masks were made.
        boxes: float32[k, 4], XYXY inclusive corners; zeros for an empty mask.
        predicted_iou, stability_score: float32[k].
        raw_index: int64[k], point * 3 + mask.
    """

    packed: Packed
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
    decoder: PromptDecoder,
    embedding: Embedding,
    params: EverythingParams,
    input_size: int,
    numerics: Numerics,
    *,
    on_device: bool,
) -> EverythingMasks:
    """All masks of a slice that pass the thresholds and box suppression.

    Order: descending predicted IoU, then grid point row-major, then mask index; suppression walks
    in it. A threshold <= 0 keeps everything, as in SAM; a stability score is 0 where SAM's is
    undefined (no pixel above -offset).

    Args:
        decoder: of the model that made the embedding.
        input_size: side of the model's input.
        numerics: `everything_batch` grid points go through the decoder at once, and at most
            `mask_bytes` of unpacked masks exist at once.
        on_device: the masks are made, packed and kept where the decoder is; else on the host. What
            is decided about them is decided on the host either way, from a few numbers a mask.
    """
    points = grid_points(params.points_per_side, embedding.height, embedding.width)
    search = _Search(decoder, embedding, params, input_size, numerics.mask_bytes, on_device)
    step = numerics.everything_batch
    passes = [search.fitting(points, k, k + step) for k in range(0, len(points), step)]
    found = _concatenate([part for parts in passes for part in parts])
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
        smaller_batch=embedding.smaller_batch or any(len(parts) > 1 for parts in passes),
    )


def suppress(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Indices of `boxes` left after non-maximum suppression in the order given, ascending.

    Args:
        boxes: float32[k, 4], XYXY.
        threshold: a box goes when its IoU with one kept before exceeds it.
    """
    import torchvision  # long to import, and only here needed

    # Ranks instead of scores: the walk cannot depend on how a sort treats ties.
    ranks = -torch.arange(len(boxes), dtype=torch.float32)
    kept = torchvision.ops.nms(torch.from_numpy(boxes), ranks, threshold)
    return np.asarray(kept.numpy(), dtype=np.intp)


@dataclass(frozen=True, eq=False)
class _Search:
    """One slice's search for masks."""

    decoder: PromptDecoder
    embedding: Embedding
    params: EverythingParams
    input_size: int
    mask_bytes: int
    on_device: bool

    def fitting(self, points: NDArray[np.float64], first: int, end: int) -> list[_Found]:
        """Points first..end in one decoder pass, or in smaller ones where that does not fit."""
        some = points[first:end]
        try:
            return [self.near(some, first * MASKS_PER_POINT)]
        except Exception as problem:
            if len(some) == 1 or not out_of_memory(problem):
                raise
        # Outside of the handler: an exception holds on to all that its frames had on the device.
        middle = first + len(some) // 2
        return self.fitting(points, first, middle) + self.fitting(points, middle, end)

    def near(self, points: NDArray[np.float64], first_raw: int) -> _Found:
        """One decoder pass: drop by predicted IoU, make masks of the rest, drop by stability."""
        embedding, threshold = self.embedding, self.params.pred_iou_thresh
        device = embedding.features.embedding.device
        frame = to_input_frame(points, embedding.height, embedding.width, self.input_size)
        # float64 as in SAM's generator: the prompt encoder rounds after shifting and dividing.
        coords = torch.as_tensor(frame, device=device)[:, None, :]
        labels = torch.ones((len(points), 1), dtype=torch.int32, device=device)
        attended = self.decoder.attend(embedding.features, PromptTensors(coords, labels, None))
        iou = self.decoder.predicted_iou(attended)[:, MULTIMASK_TOKENS]
        likely = iou > threshold if threshold > 0 else torch.ones_like(iou, dtype=torch.bool)
        some = likely.any(dim=1)
        logits = self.decoder.logits(attended.take(some), MULTIMASK_TOKENS)[likely[some]]
        ious = iou[likely].cpu().numpy().astype(np.float32)
        raw = first_raw + np.flatnonzero(likely.cpu().numpy())
        step = max(1, self.mask_bytes // (embedding.height * embedding.width))
        return _concatenate(
            [
                self._stable(logits[k : k + step], ious[k : k + step], raw[k : k + step])
                for k in range(0, max(1, len(raw)), step)
            ]
        )

    def _stable(
        self, logits: torch.Tensor, iou: NDArray[np.float32], raw: NDArray[np.int64]
    ) -> _Found:
        """The masks of float[k, l, l] logits whose stability reaches its threshold."""
        height, width, params = self.embedding.height, self.embedding.width, self.params
        seen = measured(
            logits, height, width, self.input_size, params.stability_score_offset,
            on_device=self.on_device,
        )  # fmt: skip
        stability = stability_scores(seen)
        keep = np.ones(len(stability), np.bool_)
        if params.stability_score_thresh > 0:
            keep = stability >= np.float32(params.stability_score_thresh)
        masks = seen.masks[keep]
        return _Found(
            packed=pack(masks),
            boxes=boxes_of(masks),
            predicted_iou=iou[keep],
            stability_score=stability[keep],
            raw_index=raw[keep],
        )


def stability_scores(seen: Measured) -> NDArray[np.float32]:
    """float32[k], 0..1: IoU of the masks cut at threshold +offset and -offset."""
    outer = np.maximum(seen.outer, 1).astype(np.float32)
    return seen.inner.astype(np.float32) / outer


def _concatenate(parts: list[_Found]) -> _Found:
    packed: list[Any] = [part.packed for part in parts]
    together = np.concatenate if isinstance(packed[0], np.ndarray) else torch.cat
    return _Found(
        together(packed),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.predicted_iou for part in parts]),
        np.concatenate([part.stability_score for part in parts]),
        np.concatenate([part.raw_index for part in parts]),
    )
