"""What a factor sees of an object, and what a factor is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.scoring.factors.runs import Mask, Runs, Topology, frame, runs_of, topology_of
from engine.scoring.factors.surround import Contrast, Grey, Window, contrast_of, window_of

Value = float | int | bool | None
"""A factor's value; None where it is undefined, never NaN or infinity."""


@dataclass(frozen=True, eq=False)
class FactorInput:
    """One object on its slice, and what several factors ask of it, found once when first asked.

    The mask and the levels must not change afterwards (protocol section 5).

    Attributes:
        mask: bool[y, x], the object; at least one pixel.
        grey: uint8[y, x] or float64[y, x], levels 0..255 as the model sees them.
        box: (x0, y0, x1, y1), tight box, inclusive pixel indices.
        framed: bool[y, x], contiguous copy of `mask` inside `box`, framed by one row or column of
            pixels outside on each side.
    """

    mask: Mask
    grey: Grey
    box: tuple[int, int, int, int]
    framed: Mask

    @classmethod
    def from_image(cls, mask: Mask, image: Grey) -> FactorInput:
        """Look at an object of a slice.

        Args:
            mask: bool[y, x].
            image: uint8[y, x], uint8[y, x, 3] (RGB), or grey levels made by `to_grey`: with many
                objects on a colour slice, convert once and pass those.

        Raises:
            UserError: shapes or dtypes differ from the above, or the mask is empty.
        """
        _check(mask, image)
        box = tight_box(mask)
        x0, y0, x1, y1 = box
        return cls(mask, to_grey(image), box, frame(mask[y0 : y1 + 1, x0 : x1 + 1]))

    @cached_property
    def area_px(self) -> int:
        """Pixels of the object."""
        return int(np.count_nonzero(self.framed))

    @cached_property
    def runs(self) -> Runs:
        """The runs of `framed`."""
        return runs_of(self.framed)

    @cached_property
    def topology(self) -> Topology:
        """Components, holes and outline length; positions are those of `framed`."""
        return topology_of(self.runs)

    @cached_property
    def window(self) -> Window:
        """The object and its surround."""
        return window_of(self.mask, self.grey, self.box)

    @cached_property
    def contrast(self) -> Contrast | None:
        """Levels of the object against its surround; None where there is no surround."""
        return contrast_of(self.window, self.area_px)


class Factor(Protocol):
    """A rule from an object to one or a few columns. Pure; every value finite or None."""

    def __call__(self, seen: FactorInput) -> dict[str, Value]: ...


def to_grey(image: Grey) -> Grey:
    """Levels of grey as the model sees them: RGB becomes 0.299R + 0.587G + 0.114B, not rounded.

    Thousandths are whole numbers, so colours of equal grey get equal levels and a constant area
    stays exactly constant.

    Args:
        image: uint8[y, x, 3] RGB; a 2-D image is returned as it is.
    """
    if image.ndim == 2:
        return image
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    grey: NDArray[np.float64] = (299 * red + 587 * green + 114 * blue) / 1000
    return grey


def tight_box(mask: Mask) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of a non-empty mask: inclusive, no margin (protocol section 2)."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _check(mask: Mask, image: Grey) -> None:
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise UserError(
            "an object's mask is not a boolean image",
            got=f"{mask.dtype} of shape {mask.shape}",
            expected="bool[y, x]",
        )
    grey = image.ndim == 2 and image.dtype in (np.uint8, np.float64)
    colour = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not (grey or colour) or image.shape[:2] != mask.shape:
        raise UserError(
            "the image does not fit the object's mask",
            got=f"{image.dtype} of shape {image.shape}",
            expected=f"uint8 or float64 {mask.shape}, or uint8 {(*mask.shape, 3)}",
            remedy="apply the study's intensity rule before computing factors",
        )
    if not mask.any():
        raise UserError("an empty mask has no factors", expected="at least one pixel")
