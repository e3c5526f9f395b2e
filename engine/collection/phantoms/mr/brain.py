"""A head in six MR series that share one anatomy and one set of lesions.

One subject is one examination: T1, T1 after gadolinium, T2, FLAIR, diffusion weighted and ADC.
A series is labelled with the structures it shows; a rim that only gadolinium reveals is labelled
on that series alone. Raw files: a file per anatomical structure and one value map of lesions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.mr.brain_anatomy import (
    Frame,
    brain_parts,
    frame,
    paint_brain,
    paint_eyes,
    paint_nuclei,
    skull,
    ventricles,
)
from engine.collection.phantoms.mr.brain_lesions import disease, paint_disease, pushed
from engine.collection.phantoms.mr.brain_series import SERIES, Head, pictures
from engine.collection.phantoms.mr.brain_tissue import Kind, persons_tissue
from engine.collection.phantoms.mr.physics import Codes
from engine.collection.phantoms.raw_files import write_nifti
from engine.collection.phantoms.tidy import MIN_PX, seen, without_crumbs

# As tumour collections number them; 3 was given up there, further lesions follow.
LESION_VALUES = {
    "tumour_core": 1,
    "oedema": 2,
    "enhancing_rim": 4,
    "meningioma": 5,
    "stroke_lesion": 6,
    "white_matter_lesions": 7,
}
# How each series happens to be stored.
_CODES = {
    "t1w": "RAS",
    "t1gd": "LPS",
    "t2w": "PLI",
    "flair": "SAL",
    "dwi": "LAS",
    "adc": "ARI",
}
_LEAST_CONTRAST = 0.05  # of the brightest tissue
_SMALLEST_PX = 120  # of a ventricle or nucleus that an annotator would outline


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """The six series of one head."""
    place = frame(rng)
    codes, masks = _anatomy(place, rng)
    grain = smooth_noise(place.shape, (0.0, 1.2, 1.2), rng)
    head = Head(codes, grain, persons_tissue(rng))
    shots = []
    for picture in pictures(head, rng):
        shown = {name: _shown(name, picture.clean, mask) for name, mask in masks.items()}
        labels = {name: mask for name, mask in shown.items() if mask.any()}
        shots.append(
            Shot(picture.name, picture.modality, picture.image, labels, {}, place.spacing_mm)
        )
    return tuple(shots)


def _anatomy(place: Frame, rng: np.random.Generator) -> tuple[Codes, dict[str, Mask]]:
    """Tissue numbers uint8[z, y, x] and every structure, whatever a series will show of it."""
    bone = skull(place, rng)
    codes = bone.codes
    eyes = paint_eyes(bone, place.where, rng)
    parts = brain_parts(place, bone, rng)
    depth = paint_brain(codes, place, parts, rng)
    brain = parts["cerebrum"] | parts["cerebellum"] | parts["brainstem"]
    found = disease(place, parts["cerebrum"], depth, rng)
    inside = pushed(place.where, found)
    wobble = 0.07 * place.noise(7, rng)
    thalami = paint_nuclei(codes, inside, parts["cerebrum"] & (depth > 9), wobble)
    fluid = {
        name: mask & brain & (depth > 3) for name, mask in ventricles(inside, wobble, rng).items()
    }
    water = np.logical_or.reduce(list(fluid.values()))
    codes[water] = Kind.CSF
    _choroid(codes, place, water, rng)
    lesions = paint_disease(codes, place, found, parts["cerebrum"] & ~water, rng)
    ill = np.logical_or.reduce([*lesions.values(), water])
    thalami = {name: mask & ~ill for name, mask in thalami.items()}
    if rng.random() < 0.2:  # published collections often show the brain alone
        codes[~brain], eyes = Kind.AIR, {}
    whole = {"brain": brain, "cerebellum": parts["cerebellum"], "brainstem": parts["brainstem"]}
    solid = {name: without_crumbs(mask, fill=True) for name, mask in (whole | eyes).items()}
    solid["brain"] = _main(solid["brain"], 0.01)
    rest = {n: without_crumbs(m, _SMALLEST_PX) for n, m in (fluid | thalami).items()}
    found_parts = {name: _main(mask, 0.12) for name, mask in lesions.items()}
    return codes, solid | rest | found_parts


def _main(mask: Mask, share: float) -> Mask:
    """The mask without islands of less than this share of it in their slice."""
    parts = [without_crumbs(part, max(MIN_PX, int(share * part.sum()))) for part in mask]
    return np.stack(parts)


def _choroid(codes: Codes, place: Frame, water: Mask, rng: np.random.Generator) -> None:
    """Tufts of vessels that float in the ventricles; they belong to them."""
    y, x = place.where[1], np.abs(place.where[2])
    tufts = np.hypot((y - rng.uniform(22, 34)) / 9, (x - 21) / 3.5) <= 1.0
    codes[water & tufts] = Kind.CHOROID


def _shown(name: str, clean: Field, mask: Mask) -> Mask:
    """The mask where the series shows it; a brain is outlined whatever lies around it."""
    return mask if name == "brain" else seen(clean, mask, _LEAST_CONTRAST)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """`{subject}/t1w.nii.gz`, `{subject}/t1w_structures/*.nii.gz`, `{subject}/t1w_lesions.nii.gz`.

    Series are stored with different orders of their axes.
    """
    for shot in shots:
        spacing = shot.spacing_mm or (1.0, 1.0, 1.0)
        codes, home = _CODES[shot.name], folder / subject
        write_nifti(home / f"{shot.name}.nii.gz", shot.image, spacing, codes)
        for structure, mask in shot.masks.items():
            if structure not in LESION_VALUES:
                path = home / f"{shot.name}_structures" / f"{structure}.nii.gz"
                write_nifti(path, mask.astype(np.uint8), spacing, codes)
        lesions = _lesion_map(shot)
        if lesions.any():
            write_nifti(home / f"{shot.name}_lesions.nii.gz", lesions, spacing, codes)


def _lesion_map(shot: Shot) -> NDArray[np.uint8]:
    values = np.zeros(shot.image.shape, dtype=np.uint8)
    for structure, value in LESION_VALUES.items():
        if structure in shot.masks:
            values[shot.masks[structure]] = value
    return values


FAMILY = Family(
    name="brain",
    modalities=tuple(modality for _, modality in SERIES),
    draw=draw,
    write=write,
)
