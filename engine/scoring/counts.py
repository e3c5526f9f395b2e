"""Pixel counts: the integers every overlap score is made of (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.masks import Masks

_BOOL = ("bool", "torch.bool")

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one prediction against one ground truth, `gt_px >= 1`.

    Attributes:
        tp: pixels in both.
        pred_px, gt_px: pixels of the prediction and of the ground truth.
    """

    tp: int
    pred_px: int
    gt_px: int

    @property
    def dice(self) -> float:
        """2 tp / (pred_px + gt_px)."""
        return 2 * self.tp / (self.pred_px + self.gt_px)

    @property
    def jaccard(self) -> float:
        """tp / (pred_px + gt_px - tp)."""
        return self.tp / (self.pred_px + self.gt_px - self.tp)


@dataclass(frozen=True, eq=False)
class TruthRegion:
    """One object's ground truth, cut to its tight box so that overlaps are counted only there.

    Attributes:
        height, width: size of the slice, pixels.
        y0, x0: first row and column of the box.
        crop: bool[y, x], the mask within the box.
        gt_px: its pixels, at least 1.
    """

    height: int
    width: int
    y0: int
    x0: int
    crop: Mask
    gt_px: int

    @classmethod
    def from_mask(cls, mask: Mask, *, where: str | None = None) -> TruthRegion:
        """Cut `mask: bool[y, x]` out; the result keeps a copy. `where` names it in messages.

        Raises:
            SamscopeError: the mask is not bool[y, x], or has no pixels.
        """
        check_mask(mask, where)
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            raise SamscopeError(
                "a ground truth without pixels cannot be scored against",
                where=where,
                got=f"an empty mask of {mask.shape[0]} x {mask.shape[1]} pixels",
                expected="at least one pixel of the object",
                remedy="check that the catalog belongs to these labels (samscope validate)",
            )
        columns = np.flatnonzero(mask.any(axis=0))
        y0, x0 = int(rows[0]), int(columns[0])
        crop = mask[y0 : int(rows[-1]) + 1, x0 : int(columns[-1]) + 1].copy()
        return cls(mask.shape[0], mask.shape[1], y0, x0, crop, int(np.count_nonzero(crop)))

    @property
    def y1(self) -> int:
        """Last row of the box."""
        return self.y0 + len(self.crop) - 1

    @property
    def x1(self) -> int:
        """Last column of the box."""
        return self.x0 + int(self.crop.shape[1]) - 1

    def count(self, mask: Mask) -> Counts:
        """Counts of one prediction, `mask: bool[y, x]` of the same slice.

        Raises:
            SamscopeError: the mask is not bool or has another size.
        """
        self.check(mask)
        return Counts(self._tp(mask), int(np.count_nonzero(mask)), self.gt_px)

    def count_all(self, masks: Mask) -> tuple[Ints, Ints]:
        """tp and pred_px, int64[...] each, of many predictions, `masks: bool[..., y, x]`.

        Raises:
            SamscopeError: the masks are not bool or have another size.
        """
        self.check(masks)
        flat = masks.reshape(-1, self.height, self.width)
        tp = np.fromiter((self._tp(mask) for mask in flat), np.int64, len(flat))
        pred_px = np.fromiter((np.count_nonzero(mask) for mask in flat), np.int64, len(flat))
        return tp.reshape(masks.shape[:-2]), pred_px.reshape(masks.shape[:-2])

    def check(self, masks: Masks) -> None:
        """Refuse predictions that do not fit the slice, wherever they are.

        Raises:
            SamscopeError: `masks` is not bool[..., y, x] of this size.
        """
        if str(masks.dtype) not in _BOOL or masks.shape[-2:] != (self.height, self.width):
            raise SamscopeError(
                "a predicted mask does not fit the slice",
                got=f"{masks.dtype}{list(masks.shape)}",
                expected=f"bool[..., {self.height}, {self.width}]",
                remedy="a model must return boolean masks on the slice's original grid",
            )

    def _tp(self, mask: Mask) -> int:
        view = mask[self.y0 : self.y1 + 1, self.x0 : self.x1 + 1]
        return int(np.count_nonzero(view & self.crop))


def check_mask(mask: Mask, where: str | None = None) -> None:
    """Refuse what is not bool[y, x].

    Raises:
        SamscopeError: naming `where`.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise SamscopeError(
            "a mask has the wrong form",
            where=where,
            got=f"{mask.dtype}{list(mask.shape)}",
            expected="bool[y, x]",
            remedy="compare the labels with the object's value first",
        )
