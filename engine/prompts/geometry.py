"""What every prompt of one object shares: computed once, used by all strategies and trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.errors import SamscopeError
from engine.prompts.base import Box, Mask, Point
from engine.prompts.sampling import (
    Vector,
    centre,
    even_sample,
    foreground_vector,
    negative_window,
    surround_vector,
    tight_box,
)


@dataclass(frozen=True, eq=False)
class ObjectGeometry:
    """One object's foreground, centre, box and surround; the mask must not change afterwards.

    Attributes:
        mask: bool[y, x], the object on the original grid, not empty.
        vector: int64[n], its pixels as numbers `y * width + x`, ascending.
        centre: the rounded mean position if that pixel is in the object, else None.
        box: tight box, inclusive.
    """

    mask: Mask
    vector: Vector
    centre: Point | None
    box: Box

    @classmethod
    def from_mask(cls, mask: Mask, *, where: str | None = None) -> ObjectGeometry:
        """Measure `mask: bool[y, x]`; `where` names the object in messages.

        Raises:
            SamscopeError: the mask is not a 2-D array of bool, or has no pixels.
        """
        _check(mask, where)
        width = mask.shape[1]
        vector = foreground_vector(mask)
        if not len(vector):
            raise SamscopeError(
                "the object has no pixels, so nothing can prompt for it",
                where=where,
                got=f"an empty mask of {mask.shape[0]} x {mask.shape[1]} pixels",
                expected="at least one pixel of the object",
                remedy="check that the catalog belongs to these labels (samscope validate)",
            )
        x, y = centre(vector, width)
        inside = Point(x, y, True) if mask[y, x] else None
        return cls(mask, vector, inside, tight_box(vector, width))

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])

    def positives(self, count: int) -> tuple[Point, ...]:
        """`count >= 1` points in the object: the centre first where usable, then even sampling."""
        if self.centre is None:
            return self._points(even_sample(self.vector, count), True)
        return (self.centre, *self._points(even_sample(self.vector, count - 1), True))

    def negatives(self, count: int) -> tuple[Point, ...]:
        """At most `count` points around the object: even sampling of the surround, or all of it."""
        return self._points(even_sample(self.surround, min(count, len(self.surround))), False)

    @cached_property
    def surround(self) -> Vector:
        """int64[n], pixels of the doubled box outside the object, row-major; may be empty."""
        return surround_vector(self.mask, negative_window(self.box, self.height, self.width))

    def _points(self, numbers: Iterable[int], positive: bool) -> tuple[Point, ...]:
        width = self.width
        return tuple(Point(n % width, n // width, positive) for n in numbers)


def _check(mask: Mask, where: str | None) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise SamscopeError(
            "an object's mask has the wrong form",
            where=where,
            got=f"{mask.dtype}{list(mask.shape)}",
            expected="bool[y, x]",
            remedy="compare the labels with the object's value before prompting",
        )
