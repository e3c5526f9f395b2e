"""MedSAM's inference in one straight line, one box at a time, with scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.transform
import torch
from numpy.typing import NDArray


def square_image(rgb: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """Stretched with a cubic spline, cut to whole grey levels, then from 0 to 1."""
    large = skimage.transform.resize(
        rgb, (size, size), order=3, preserve_range=True, anti_aliasing=True
    )
    levels = large.astype(np.uint8).astype(np.float64)
    span = levels.max() - levels.min()
    return (levels - levels.min()) / (span if span > 1e-8 else 1e-8)


def segment(
    network: Any, features: torch.Tensor, box: tuple[int, int, int, int], height: int, width: int
) -> tuple[NDArray[np.bool_], float]:
    """The mask of one box and the network's own estimate, from a ready embedding."""
    size = network.image_encoder.img_size
    x0, y0, x1, y1 = box
    corners = [x0 * size / width, y0 * size / height, x1 * size / width, y1 * size / height]
    with torch.no_grad():
        sparse, dense = network.prompt_encoder(
            points=None, boxes=torch.tensor([[corners]], dtype=torch.float32), masks=None
        )
        logits, iou = network.mask_decoder(
            image_embeddings=features[None],
            image_pe=network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        probability = 1 / (1 + torch.exp(-logits.double()))
        large = torch.nn.functional.interpolate(probability, (height, width), mode="bilinear")
    return (large[0, 0] > 0.5).numpy(), float(iou[0, 0])
