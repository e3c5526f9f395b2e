"""What every family of phantoms offers, and how subjects get their names and seeds.

A family draws *subjects*; a subject has one or several *shots* (a volume, a time point, a
photograph), each with exact masks. Splits never share a subject: the split is part of the
subject's name and of its seed, so nothing drawn for `train` can turn up in `demo`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Mask


@dataclass(frozen=True, eq=False)
class Shot:
    """One case of a subject.

    Attributes:
        name: what tells it from the subject's other shots, e.g. `t1w` or `visit_2`.
        modality: as the paper names it.
        image: [z, y, x] (ascending in S, P, L), [y, x] or [y, x, 3] RGB, in the dtype such files
            have; the short side of y, x is at least 256.
        masks: structure -> bool array on the image's grid without channels; they may overlap.
        instances: structure -> uint16 map, 0 background, every other value one object.
        spacing_mm: of the image's spatial axes; None where the field knows none.
    """

    name: str
    modality: str
    image: NDArray[np.generic]
    masks: dict[str, Mask]
    instances: dict[str, NDArray[np.uint16]]
    spacing_mm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Family:
    """A kind of images: how its subjects are drawn and how they lie on disk.

    Attributes:
        name: the dataset and its recipe are called `phantom_<name>`.
        modalities: those its shots have.
        draw: the shots of one subject; all randomness comes from the generator.
        write: (folder of the dataset, subject's name, shots) -> raw files the recipe reads.
    """

    name: str
    modalities: tuple[str, ...]
    draw: Callable[[np.random.Generator], tuple[Shot, ...]]
    write: Callable[[Path, str, tuple[Shot, ...]], None]

    @property
    def dataset(self) -> str:
        return f"phantom_{self.name}"


def subject_name(split: str, number: int) -> str:
    """`demo-0003`: unique within a family and seed over all splits."""
    return f"{split}-{number:04d}"


def subject_generator(family: str, subject: str, seed: int) -> np.random.Generator:
    """A subject's own stream: further subjects, families or splits change none of the others."""
    digest = hashlib.sha256(f"samscope phantom|{seed}|{family}|{subject}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
