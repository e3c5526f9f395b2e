"""What goes into one file of a replica, before a writer gives it its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import PLAIN, How
from engine.collection.replica.grid import Grid
from engine.collection.replica.spec import Write
from engine.collection.replica.truth import Mask

if TYPE_CHECKING:
    from engine.collection.replica.dicom import WrittenSeries

Done = dict[str, "WrittenSeries"]
"""DICOM series by the path of their folder: labels point at them."""


@dataclass(frozen=True, eq=False)
class DrawnObject:
    """A named region of a label file, over the spatial axes as drawn."""

    name: str
    number: int
    mask: Mask


@dataclass(frozen=True, eq=False)
class Piece:
    """An image or a label as drawn; several pieces may share one file (npz, COCO).

    Attributes:
        path: relative, with `/`; of a folder it ends in one.
        role: image or label.
        values: [(t,) z, y, x(, 3)] or [(t,) y, x(, 3)], in the dtype to store; None for objects.
        grid: where the samples lie.
        time: whether `values` has frames.
        colour: whether `values` has three colours.
        how: name and axes of the array within its file.
        image: path of the image a label belongs to.
        objects: kind `objects`: what to store, in the file's order.
        declared: names the file may declare, also of absent objects.
        kind: of a label: the recipe's word.
        soft: a label whose reading bears slightly changed values.
        shared: a label file of many images.
        number: of the case within the replica, from 0: what varies from case to case.
        case, subject, modality: for formats that say them.
    """

    path: str
    role: Literal["image", "label"]
    values: NDArray[np.generic] | None
    grid: Grid
    write: Write
    case: str
    subject: str
    modality: str
    time: bool = False
    colour: bool = False
    how: How = PLAIN
    image: str = ""
    objects: tuple[DrawnObject, ...] = ()
    declared: tuple[str, ...] = ()
    kind: str = ""
    soft: bool = False
    shared: bool = False
    number: int = 0

    @property
    def stored(self) -> NDArray[np.generic]:
        """[i, j, k(, t)(, 3)] of a volume, [(t,) y, x(, 3)] of a picture."""
        if self.values is None:
            raise ValueError(f"{self.path} holds objects, no values")
        return self.grid.stored(self.values, time=self.time)
