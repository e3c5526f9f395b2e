"""Prompts as tensors of the model's input, and the plain decoder that training differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.errors import UserError
from engine.models.numerics import prompt_shape
from engine.models.preprocessing import to_input_frame
from engine.prompts.base import Prompt


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

    By `segment_anything`'s own modules, under the caller's autograd mode: what training learns by.
    Evaluation uses `PromptDecoder`, which is equal up to rounding.

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
