"""Small pictures and volumes of every modality: phantoms, sampled with a stride.

Drawing a phantom takes tenths of a second, so each family draws one subject per process; cases of
many replicas are other places, times and strides of the same subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import ellipsoid, grid, smooth_noise
from engine.collection.phantoms.base import Shot, subject_generator, subject_name
from engine.collection.phantoms.families import FAMILIES
from engine.collection.replica.truth import Mask

_BY_MODALITY = {
    "CT": "abdomen_ct",
    "PET": "abdomen_ct",
    "CTA": "abdomen_ct",
    "MRI": "abdomen_mr",
    "MR": "abdomen_mr",
    "T1W": "brain",
    "T1-Gd": "brain",
    "T2W": "brain",
    "T2-FLAIR": "brain",
    "FLAIR": "brain",
    "DW": "brain",
    "DWI": "brain",
    "ADC": "brain",
    "Cine-MRI": "heart",
    "CMR": "heart",
    "LGE": "heart",
    "ultrasound": "ultrasound",
    "X-ray": "xray",
    "fundus": "fundus",
    "dermoscopy": "dermoscopy",
    "colonoscopy": "colonoscopy",
    "endoscopy": "colonoscopy",
    "laparoscopy": "colonoscopy",
    "histopathology": "histopathology",
    "electron microscopy": "electron",
    "microscopy": "fluorescence",
}
_SUBJECTS = {"abdomen_ct": 4, "abdomen_mr": 1, "brain": 2, "fundus": 1}
"""Numbers of the subjects drawn where not 0: those that show most structures."""

_LIKE = {"FLAIR": "T2-FLAIR", "DWI": "DW", "LGE": "CMR"}


@dataclass(frozen=True, eq=False)
class Body:
    """What a replica shows.

    Attributes:
        image: [z, y, x], [y, x] or with a last axis of three colours, as the phantom has it.
        masks: name -> bool over the spatial axes, the larger ones first.
    """

    image: NDArray[np.generic]
    masks: dict[str, Mask]


def body(modality: str, shape: tuple[int, ...], rng: np.random.Generator, variant: int = 0) -> Body:
    """A body of the given size; other draws of `rng` show another place.

    Args:
        modality: the recipe's word; where no phantom has it, blurred shapes are drawn instead.
        shape: (z, y, x) or (y, x).
        variant: time point or channel: the same place at another moment.
    """
    shots = _shots(modality)
    if not shots:
        return _shapes(shape, rng, variant)
    shot = shots[int(rng.integers(len(shots)))]
    depth = shape[0] if len(shape) == 3 else 1
    planes = shot.image.shape[0] if shot.spacing_mm else 1
    first = int(rng.integers(planes))
    rows, columns = _places(shot, shape[-2:], depth, rng, variant)
    pick = [(first + z * planes // max(depth, 1)) % planes for z in range(depth)]

    def sampled(array: NDArray[np.generic]) -> NDArray[np.generic]:
        stack = array if shot.spacing_mm else array[np.newaxis]
        out = np.stack(
            [stack[p][np.ix_(r, c)] for p, r, c in zip(pick, rows, columns, strict=True)]
        )
        return out if len(shape) == 3 else out[0]

    masks = {name: sampled(mask) for name, mask in shot.masks.items()}
    masks |= {
        f"{name}_{number}": sampled(drawn == number)
        for name, drawn in shot.instances.items()
        for number in range(1, int(drawn.max()) + 1)
    }
    found = {name: np.asarray(mask, np.bool_) for name, mask in masks.items() if mask.any()}
    order = sorted(found, key=lambda name: -int(found[name].sum()))
    return Body(sampled(shot.image), {name: found[name] for name in order})


def _places(
    shot: Shot, size: tuple[int, ...], depth: int, rng: np.random.Generator, variant: int
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    """Rows and columns of the phantom for every slice; each is a step further than the last.

    Phantom volumes have two or three slices: the step makes all slices of a replica differ, so that
    a stack read upside down is noticed.
    """
    high, wide = shot.image.shape[1:3] if shot.spacing_mm else shot.image.shape[:2]
    stride = max(1, min(high // size[0], wide // size[1]))
    top, left = (int(n) for n in rng.integers(0, 40, 2))
    rows, columns = [], []
    for z in range(depth):
        rows.append(_mirrored(top + 2 * z + variant + stride * np.arange(size[0]), high))
        columns.append(_mirrored(left + 3 * z + 2 * variant + stride * np.arange(size[1]), wide))
    return rows, columns


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Indices beyond the end run back."""
    around = index % (2 * length)
    return np.where(around < length, around, 2 * length - 1 - around)


@lru_cache(maxsize=32)
def _shots(modality: str) -> tuple[Shot, ...]:
    """The shots of one phantom subject that have this modality, all of its family if none has."""
    known = {name.lower(): name for name in _BY_MODALITY}
    name = known.get(modality.lower())
    if name is None:
        return ()
    drawn = _subject(_BY_MODALITY[name])
    return tuple(s for s in drawn if s.modality == _LIKE.get(name, name)) or drawn


@lru_cache(maxsize=16)
def _subject(family: str) -> tuple[Shot, ...]:
    name = subject_name("replica", _SUBJECTS.get(family, 0))
    return FAMILIES.get(family).draw(subject_generator(family, name, 0))


def _shapes(shape: tuple[int, ...], rng: np.random.Generator, variant: int) -> Body:
    where = grid(shape, [1.0] * len(shape))
    image = 20 * smooth_noise(shape, [3.0] * len(shape), rng)
    masks = {}
    for number in range(4):
        radii = [n * float(rng.uniform(0.12, 0.3)) for n in shape]
        centre = [n * float(rng.uniform(-0.25, 0.25)) + variant for n in shape]
        wobble = 0.15 * smooth_noise(shape, [4.0] * len(shape), rng)
        mask = ellipsoid(where, centre, radii, turn_deg=float(rng.uniform(0, 90)), wobble=wobble)
        masks[f"shape_{number}"] = mask <= 1
        image[mask <= 1] += 60 * (number + 1)
    return Body(image.astype(np.float32), {k: m for k, m in masks.items() if m.any()})
