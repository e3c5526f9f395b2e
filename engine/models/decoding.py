"""SAM's decoder, from prompts to masks on the original grid, as plain functions.

They run under the caller's autograd mode: evaluation enters inference mode, training does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from engine.errors import UserError
from engine.models.numerics import prompt_shape
from engine.models.preprocessing import frame_size, to_input_frame
from engine.prompts.base import Prompt

MULTIMASK = slice(1, None)
"""Mask tokens of candidates 0, 1, 2: the decoder keeps its single-mask token first."""

SINGLE_MASK = slice(0, 1)
"""Mask token of candidate 3."""

UPSCALE_BYTES = {"cpu": 8 * 1024 * 1024, "cuda": 512 * 1024 * 1024}
"""Float32 logits upscaled at once: bounds memory and changes no value. On a CPU they stay in its
cache (half the time of 64 MiB), on a GPU few launches matter more."""

MASK_THRESHOLD = 0.0


@dataclass(frozen=True)
class PromptTensors:
    """Prompts of one decoder pass in pixels of the model input.

    Attributes:
        coords: float[n, points, 2], xy; None without points.
        labels: int32[n, points], 1 positive, 0 negative; None without points.
        boxes: float32[n, 4], XYXY inclusive; None without boxes.
    """

    coords: torch.Tensor | None
    labels: torch.Tensor | None
    boxes: torch.Tensor | None


def check_same_shape(prompts: Sequence[Prompt]) -> None:
    """Refuse prompts that cannot share a decoder pass.

    Raises:
        UserError: none, different numbers of points, boxes on some only, or an empty prompt.
    """
    shapes = {prompt_shape(prompt) for prompt in prompts}
    if len(shapes) != 1 or (0, False) in shapes:
        raise UserError(
            "these prompts cannot share one decoder pass",
            got="(points, box) of " + (", ".join(map(str, sorted(shapes))) or "no prompt at all"),
            expected="one or more prompts, all with as many points and all or none with a box",
            remedy="cut them with prompt_batches",
        )


def prompt_tensors(
    prompts: Sequence[Prompt], height: int, width: int, input_size: int, device: Any
) -> PromptTensors:
    """Prompts of one shape on a `height` x `width` image, for SAM's prompt encoder.

    Raises:
        UserError: prompts of different shapes, or none.
    """
    check_same_shape(prompts)
    coords = labels = boxes = None
    if prompts[0].points:
        xy = [[[p.x, p.y] for p in prompt.points] for prompt in prompts]
        signs = [[int(p.positive) for p in prompt.points] for prompt in prompts]
        frame = to_input_frame(np.array(xy, np.float64), height, width, input_size)
        coords = torch.as_tensor(frame, dtype=torch.float32, device=device)
        labels = torch.as_tensor(signs, dtype=torch.int32, device=device)
    if prompts[0].box is not None:
        corners = np.array(box_corners(prompts), np.float64).reshape(-1, 2, 2)
        frame = to_input_frame(corners, height, width, input_size).reshape(-1, 4)
        boxes = torch.as_tensor(frame, dtype=torch.float32, device=device)
    return PromptTensors(coords, labels, boxes)


def box_corners(prompts: Sequence[Prompt]) -> list[list[int]]:
    """[x0, y0, x1, y1] of each prompt's box. Raises UserError where a prompt has none."""
    boxes = [prompt.box for prompt in prompts if prompt.box is not None]
    if len(boxes) != len(prompts):
        raise UserError("a prompt has no box", expected="a box in every prompt")
    return [[box.x0, box.y0, box.x1, box.y1] for box in boxes]


def low_res_logits(
    network: Any, features: torch.Tensor, prompts: PromptTensors
) -> tuple[torch.Tensor, torch.Tensor]:
    """All four masks of each prompt at the decoder's own resolution, in one pass.

    Args:
        network: a `segment_anything` Sam module.
        features: float[1, channels, h, w], one slice's embedding.

    Returns:
        float[n, 4, 4h, 4w] logits and float[n, 4] predicted IoU, in token order.
    """
    points = None if prompts.coords is None else (prompts.coords, prompts.labels)
    sparse, dense = network.prompt_encoder(points=points, boxes=prompts.boxes, masks=None)
    logits, predicted_iou = network.mask_decoder.predict_masks(
        image_embeddings=features,
        image_pe=network.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
    )
    return logits, predicted_iou


def upscale(logits: torch.Tensor, height: int, width: int, input_size: int) -> torch.Tensor:
    """float[n, c, height, width]: SAM's two bilinear steps, to the input and to the image.

    Args:
        logits: float[n, c, h, w] at the decoder's resolution, padding included. torch rounds
            c = 3 differently from other c, so the three multimask tokens go together and the
            single-mask token alone, as SAM's predictor does it; n and the order do not matter.
    """
    frame_height, frame_width = frame_size(height, width, input_size)
    square = interpolate(logits, (input_size, input_size), mode="bilinear", align_corners=False)
    inside = square[..., :frame_height, :frame_width]
    return interpolate(inside, (height, width), mode="bilinear", align_corners=False)


def upscaled_parts(
    logits: torch.Tensor, height: int, width: int, input_size: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """`upscale` in parts of bounded memory: (which of the n, their float[k, c, y, x] logits)."""
    per_entry = 4 * logits.shape[1] * max(height * width, input_size * input_size)
    step = max(1, UPSCALE_BYTES[logits.device.type] // per_entry)
    for start in range(0, len(logits), step):
        part = slice(start, min(start + step, len(logits)))
        yield part, upscale(logits[part], height, width, input_size)


def binary_masks(
    logits: torch.Tensor, height: int, width: int, input_size: int
) -> NDArray[np.bool_]:
    """bool[n, c, height, width]: upscaled logits above the threshold."""
    masks = np.empty((*logits.shape[:2], height, width), np.bool_)
    for part, values in upscaled_parts(logits, height, width, input_size):
        masks[part] = (values > MASK_THRESHOLD).cpu().numpy()
    return masks


def candidate_masks(
    logits: torch.Tensor, height: int, width: int, input_size: int
) -> NDArray[np.bool_]:
    """bool[n, 4, height, width]: masks of candidates 0..3 from float[n, 4, h, w] token logits."""
    return np.concatenate(
        [
            binary_masks(logits[:, tokens], height, width, input_size)
            for tokens in (MULTIMASK, SINGLE_MASK)
        ],
        axis=1,
    )
