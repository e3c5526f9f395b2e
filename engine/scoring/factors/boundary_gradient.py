"""How sharp the image is along an object's border."""

from __future__ import annotations

import numpy as np

from engine.compiled import compiled
from engine.scoring.factors.base import FactorInput, Value
from engine.scoring.factors.positions import Ints, true_positions
from engine.scoring.factors.runs import Mask
from engine.scoring.factors.surround import Levels


def boundary_gradient(seen: FactorInput) -> dict[str, Value]:
    """`boundary_gradient`: mean Sobel gradient magnitude over the border, levels per pixel.

    Kernels are divided by 8 and the image is continued by its edge pixels; border pixels have a
    4-neighbour outside the object or the image (protocol sections 4 and 5).
    """
    border = border_pixels(seen.framed)
    total = _gradients(seen.window.levels, border, seen.framed.shape[1], *seen.window.corner)
    return {"boundary_gradient": total / len(border)}


def border_pixels(framed: Mask) -> Ints:
    """int64[n], the border of a mask that `frame` has framed, numbered y * width + x."""
    flat, width = framed.ravel(), framed.shape[1]
    beside = flat[width - 1 : -width - 1] & flat[width + 1 : 1 - width]
    core = beside & flat[: -2 * width] & flat[2 * width :]
    border: Ints = true_positions(flat[width:-width] & ~core) + width
    return border


@compiled
def _gradients(levels: Levels, pixels: Ints, width: int, row: int, column: int) -> float:
    """Sum of gradient magnitudes at `pixels`, numbers in the framed box.

    row, column: where that box's first pixel within the frame lies in `levels`, which ends next to
    a pixel only where the image does.
    """
    total, line = 0.0, 0
    for pixel in pixels:
        while pixel >= (line + 1) * width:
            line += 1
        y, x = line - 1 + row, pixel - line * width - 1 + column
        up, down = max(y - 1, 0), min(y + 1, levels.shape[0] - 1)
        left, right = max(x - 1, 0), min(x + 1, levels.shape[1] - 1)
        falling = levels[down, right] - levels[up, left]
        rising = levels[up, right] - levels[down, left]
        across = falling + rising + 2.0 * (levels[y, right] - levels[y, left])
        along = falling - rising + 2.0 * (levels[down, x] - levels[up, x])
        total += np.sqrt(across * across + along * along)
    return total / 8.0
