"""MedSAM's own rule from a uint8 image to a model input (its released inference script).

The image is stretched to a square with a cubic spline (Gaussian smoothing before shrinking),
truncated to uint8, and its extremes are mapped to 0 and 1; there is no pixel mean and no padding.
The script does it with scikit-image, whose resize of a colour image also runs the spline along
the three channels; here each channel is resized alone, which is the same to 1e-9 and 20 times
faster. Truncation makes one level of difference where a value lies that near an integer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray

from engine.models.base import Image
from engine.models.preprocessing import check_image

MEDSAM_PREPROCESSING = "medsam-square-1"
_EDGE = "mirror"


def stretch(plane: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """float64[size, size], 0..255: one channel by cubic spline, smoothed where it shrinks."""
    factors = np.array(plane.shape) / size
    values = plane.astype(np.float64)
    smooth = scipy.ndimage.gaussian_filter(values, np.maximum(0, (factors - 1) / 2), mode=_EDGE)
    out = scipy.ndimage.zoom(smooth, 1 / factors, order=3, mode=_EDGE, grid_mode=True)
    return np.asarray(out, dtype=np.float64)


def medsam_input(image: Image, input_size: int, device: torch.device) -> torch.Tensor:
    """float32[3, input_size, input_size], 0..1, of `image`: uint8[y, x] or uint8[y, x, 3], RGB.

    Raises:
        UserError: not such an image.
    """
    check_image(image)
    planes = [image] if image.ndim == 2 else [image[..., channel] for channel in range(3)]
    stretched = np.stack([stretch(plane, input_size) for plane in planes])
    levels = np.clip(stretched, image.min(), image.max()).astype(np.uint8)
    lo, hi = int(levels.min()), int(levels.max())
    scaled = (levels - np.uint8(lo)) / max(hi - lo, 1e-8)
    tensor = torch.from_numpy(scaled).to(device=device, dtype=torch.float32)
    return tensor.expand(3, -1, -1).contiguous()


def to_square(
    boxes: Sequence[Sequence[float]], height: int, width: int, input_size: int
) -> NDArray[np.float64]:
    """float64[n, 4], XYXY: pixels of the image to pixels of the square model input."""
    size = np.array([width, height, width, height], dtype=np.float64)
    return np.array(boxes, dtype=np.float64) / size * input_size
