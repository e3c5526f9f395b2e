"""Losses at the decoder's resolution, against the share of each cell that the object covers.

A cell of the decoder's mask stands for several pixels. Its target is the covered share, not a
bit: then the zero crossing of the upscaled logits can follow an outline finer than the cells.
"""

from __future__ import annotations

import torch
from torch.nn.functional import (
    adaptive_avg_pool2d,
    avg_pool2d,
    binary_cross_entropy_with_logits,
    mse_loss,
    pad,
)

from engine.models.preprocessing import frame_size
from engine.models.prompt_decoder import MULTIMASK_TOKENS, SINGLE_TOKEN
from engine.training.config import Loss

FOCAL_WEIGHT = 20.0
"""SAM's weights: 20 focal, 1 Dice, 1 predicted IoU (Kirillov et al. 2023, section A)."""

_ALPHA, _GAMMA = 0.25, 2.0


def coverage(masks: torch.Tensor, input_size: int, cells: int) -> torch.Tensor:
    """float32[n, cells, cells]: covered share of every decoder cell, 0 in the padding.

    Args:
        masks: bool[n, y, x] on the original grid.
        input_size: side of the model input, pixels; a multiple of `cells`.
    """
    height, width = frame_size(masks.shape[-2], masks.shape[-1], input_size)
    frame = adaptive_avg_pool2d(masks[:, None].float(), (height, width))
    square = pad(frame, (0, input_size - width, 0, input_size - height))
    return avg_pool2d(square, input_size // cells)[:, 0]


def mask_losses(logits: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """float[n, tokens]: loss of every mask.

    Args:
        logits: float[n, tokens, h, w].
        target: float32[n, h, w], 0..1.
        kind: `focal_dice` or `dice_ce`.
    """
    logits = logits.float()
    wanted = target[:, None].expand_as(logits)
    share = logits.sigmoid()
    cross = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    pixels = (-2, -1)
    overlap = (share * wanted).sum(pixels)
    dice = 1 - (2 * overlap + 1) / (share.sum(pixels) + wanted.sum(pixels) + 1)
    if kind == "dice_ce":
        return dice + cross.mean(pixels)
    weight = _ALPHA * wanted + (1 - _ALPHA) * (1 - wanted)
    focal = weight * (wanted - share).abs() ** _GAMMA * cross
    return dice + FOCAL_WEIGHT * focal.mean(pixels)


def iou_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """float[n, tokens]: IoU of the masks with the objects in cells; what the IoU head learns."""
    predicted, wanted = logits > 0, (target > 0.5)[:, None]
    both = (predicted & wanted).sum((-2, -1)).float()
    either = (predicted | wanted).sum((-2, -1)).float()
    return both / either.clamp(min=1)


def prompt_losses(
    logits: torch.Tensor, predicted_iou: torch.Tensor, target: torch.Tensor, how: Loss
) -> torch.Tensor:
    """float[n]: loss of each prompt.

    Args:
        logits: float[n, 4, h, w], token order.
        predicted_iou: float[n, 4].
        target: float32[n, h, w].
    """
    if how.tokens == "single":
        return mask_losses(logits[:, [SINGLE_TOKEN]], target, how.kind)[:, 0]
    each = mask_losses(logits, target, how.kind)
    best = each[:, MULTIMASK_TOKENS].min(dim=1).values
    iou = mse_loss(predicted_iou.float(), iou_of(logits.detach(), target), reduction="none")
    return best + each[:, [SINGLE_TOKEN]].mean(dim=1) + iou.mean(dim=1)
