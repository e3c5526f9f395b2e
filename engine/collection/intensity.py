"""From source values to the 8-bit image a model sees (protocol 1.6).

Display images (8-bit RGB) are kept under every option. All else is stretched linearly between
`lo` and `hi` in float64: `rint(255 * ((I - lo) / (hi - lo)))`, values outside clipped; the three
channels of deeper RGB share `lo` and `hi`. Decided here, where the protocol is silent:

- `percentiles` are those of the slice. A volume's percentiles are not in the catalog, so
  `scope: volume` with percentiles is refused.
- `window` is in the units of one grey channel (HU); it is refused for deeper RGB.
- `lo == hi` (a constant slice or volume, or percentiles that meet) gives zeros.
- `flat` says that the rendered image has one value only, whatever the rule: no model can see
  anything in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptDataError, UserError
from engine.study import Intensity

ALGORITHM_VERSION = 1
"""Part of every identity: raise it when an image could come out differently."""


@dataclass(frozen=True)
class Rendered:
    """A slice as a model sees it.

    Attributes:
        image: uint8[y, x] or uint8[y, x, 3], RGB, 0..255.
        flat: every pixel is the same.
    """

    image: NDArray[np.uint8]
    flat: bool


def check_intensity(intensity: Intensity) -> None:
    """Raise UserError for a combination that has no meaning; call before a study starts."""
    if intensity.percentiles is not None and intensity.scope == "volume":
        raise UserError(
            "intensity percentiles are those of a slice, not of a volume",
            where="study, intensity",
            got="scope: volume with percentiles",
            expected="scope: slice with percentiles, or scope: volume alone",
            remedy="leave out scope or percentiles",
        )


def to_uint8(
    image: NDArray[Any], intensity: Intensity, volume_lo: float, volume_hi: float
) -> Rendered:
    """Render a slice.

    Args:
        image: source dtype [y, x] or [y, x, 3].
        volume_lo, volume_hi: extremes of the slice's case, source values; for `scope: volume`.

    Raises:
        UserError: the option does not fit (see above).
        CorruptDataError: a value is not finite.
    """
    check_intensity(intensity)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise UserError(
            "an image to render has the wrong axes",
            got=image.shape,
            expected="[y, x] or [y, x, 3], not empty",
        )
    if image.ndim == 3 and image.dtype == np.uint8:
        return Rendered(np.ascontiguousarray(image), bool((image == image[0, 0]).all()))
    values = image.astype(np.float64)
    lo, hi = _range(values, intensity, volume_lo, volume_hi)
    rendered = _stretch(values, lo, hi)
    return Rendered(rendered, bool((rendered == rendered[0, 0]).all()))


def _range(
    values: NDArray[np.float64], intensity: Intensity, volume_lo: float, volume_hi: float
) -> tuple[float, float]:
    lo, hi = float(values.min()), float(values.max())
    if not (np.isfinite(lo) and np.isfinite(hi)):
        raise CorruptDataError(
            "a slice holds values that are not finite",
            expected="finite values; ingest refuses others (protocol 1.6)",
        )
    if intensity.window is not None:
        if values.ndim == 3:
            raise UserError(
                "an intensity window is for images of one channel",
                where="study, intensity, window",
                got="an RGB image deeper than 8 bits",
                remedy="name the datasets the window is for in the study's `datasets`",
            )
        centre, width = intensity.window
        return centre - width / 2, centre + width / 2
    if intensity.percentiles is not None:
        return _percentiles(values, intensity.percentiles)
    return (volume_lo, volume_hi) if intensity.scope == "volume" else (lo, hi)


def _percentiles(values: NDArray[np.float64], percent: tuple[float, float]) -> tuple[float, float]:
    """Linear interpolation between order statistics, halved so that no difference overflows."""
    lo, hi = np.percentile(values / 2, percent)
    return 2 * float(lo), 2 * float(hi)


def _stretch(values: NDArray[np.float64], lo: float, hi: float) -> NDArray[np.uint8]:
    if lo == hi:
        return np.zeros(values.shape, np.uint8)
    if not np.isfinite(hi - lo):  # extremes of float64 far apart: the quotient needs no scale
        values, lo, hi = values / 2, lo / 2, hi / 2
    scaled = np.clip(values, lo, hi)
    scaled -= lo
    scaled /= hi - lo
    scaled *= 255
    return np.rint(scaled, out=scaled).astype(np.uint8)
