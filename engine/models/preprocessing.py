"""SAM's own rule from a uint8 image to a model input, and from pixels to input coordinates.

Bit-equal to `segment_anything`'s ResizeLongestSide followed by Sam.preprocess: longest side to the
input size with PIL's bilinear filter on uint8, then normalise, then pad (protocol section 1.6).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from engine.errors import UserError
from engine.models.base import Image

SAM_PREPROCESSING = "sam-longest-side-1"


def check_image(image: Image) -> None:
    """Refuse what is not uint8[y, x] or uint8[y, x, 3] with at least one pixel.

    Raises:
        UserError: naming dtype and shape.
    """
    shape_ok = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not shape_ok or image.size == 0:
        raise UserError(
            "not an image a model can see",
            got=f"{image.dtype}{list(image.shape)}",
            expected="uint8[y, x] or uint8[y, x, 3], not empty",
            remedy="apply the study's intensity rule first",
        )


def frame_size(height: int, width: int, input_size: int) -> tuple[int, int]:
    """(height, width) in pixels of the resized image inside the square input, before padding.

    Raises:
        UserError: the short side would vanish.
    """
    scale = input_size * 1.0 / max(height, width)
    frame = int(height * scale + 0.5), int(width * scale + 0.5)
    if min(frame) < 1:
        raise UserError(
            "the slice is too elongated for this model: its short side would vanish",
            got=f"{height} x {width} pixels",
            expected=f"sides within a ratio of {2 * input_size}",
        )
    return frame


def resize_longest_side(image: Image, input_size: int) -> Image:
    """Longest side of `image` to `input_size`, PIL bilinear on uint8; channels as given.

    Resizing one grey channel and repeating it later equals resizing three.
    """
    height, width = frame_size(image.shape[0], image.shape[1], input_size)
    resized = PIL.Image.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), PIL.Image.Resampling.BILINEAR
    )
    return np.array(resized)


def sam_input(
    image: Image, input_size: int, pixel_mean: torch.Tensor, pixel_std: torch.Tensor
) -> torch.Tensor:
    """float32[3, input_size, input_size]: resized, normalised, zero-padded right and below.

    Args:
        image: uint8[y, x] or uint8[y, x, 3], RGB.
        pixel_mean, pixel_std: float32[3, 1, 1], grey levels; their device is the result's.

    Raises:
        UserError: not such an image, or too elongated.
    """
    check_image(image)
    resized = torch.from_numpy(resize_longest_side(image, input_size)).to(pixel_mean.device)
    planes = resized[None] if image.ndim == 2 else resized.permute(2, 0, 1)
    normalised = (planes - pixel_mean) / pixel_std
    height, width = normalised.shape[-2:]
    return torch.nn.functional.pad(
        normalised, (0, input_size - width, 0, input_size - height)
    ).contiguous()


def to_input_frame(
    xy: NDArray[np.float64] | Sequence[Sequence[float]], height: int, width: int, input_size: int
) -> NDArray[np.float64]:
    """float64[..., 2], xy: pixels of a `height` x `width` image to pixels of the model input."""
    frame_height, frame_width = frame_size(height, width, input_size)
    scaled = np.array(xy, dtype=np.float64)
    scaled[..., 0] *= frame_width / width
    scaled[..., 1] *= frame_height / height
    return scaled
