"""SAM's two bilinear steps as SAM takes them, and when two ways of decoding agree."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from engine.models.preprocessing import frame_size

SHARE_OF_RANGE = 1e-5
"""Logits nearer to 0 than this share of their range may round to either side."""


def enlarge(logits: torch.Tensor, height: int, width: int, input_size: int) -> torch.Tensor:
    """float[n, c, height, width]: to the model's input, and without its padding to the image."""
    frame_height, frame_width = frame_size(height, width, input_size)
    square = interpolate(logits, (input_size, input_size), mode="bilinear", align_corners=False)
    inside = square[..., :frame_height, :frame_width]
    return interpolate(inside, (height, width), mode="bilinear", align_corners=False)


def flipped(masks: NDArray[np.bool_], logits: NDArray[np.float32]) -> int:
    """How many pixels of `masks` are not `logits > 0`.

    Raises:
        AssertionError: one of them is no matter of rounding.
    """
    differ = masks != (logits > 0)
    nearly = np.abs(logits) < SHARE_OF_RANGE * np.ptp(logits)
    assert not (differ & ~nearly).any(), np.abs(logits[differ]).max()
    return int(differ.sum())
