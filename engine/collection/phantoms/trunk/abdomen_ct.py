"""Trunks in CT: one volume of three slices per subject and one map of label values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.raw_files import write_nifti
from engine.collection.phantoms.trunk.abdomen import abdomen
from engine.collection.phantoms.trunk.canvas import Canvas, Tissue, distinct, labels_of, masks_of

# Hounsfield units without contrast medium, and what a full dose adds (late arterial phase).
_HU: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, 0),
    Tissue.FAT: (-100, 0),
    Tissue.MUSCLE: (52, 14),
    Tissue.MESENTERY: (-88, 6),
    Tissue.CORTEX: (720, 0),
    Tissue.MARROW: (230, 20),
    Tissue.FLUID: (15, 0),
    Tissue.LIVER: (58, 55),
    Tissue.SPLEEN: (48, 80),
    Tissue.KIDNEY: (34, 165),
    Tissue.MEDULLA: (30, 95),
    Tissue.ARTERY: (42, 230),
    Tissue.VEIN: (42, 110),
    Tissue.GUT_WALL: (40, 45),
    Tissue.GUT: (38, 0),
    Tissue.GAS: (-960, 0),
    Tissue.URINE: (6, 0),
    Tissue.TUMOUR: (32, 30),
    Tissue.NECROSIS: (14, 0),
    Tissue.GLAND: (42, 40),
    Tissue.LUNG: (-830, 15),
    Tissue.TABLE: (-250, 0),
    Tissue.DISC: (95, 0),
}
_LEAST_HU = 9.0  # structures that differ less from their surround are not labelled
_LOWEST_HU, _HIGHEST_HU = -1024, 3071


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """One scan of one subject, with or without contrast medium."""
    canvas = abdomen(rng)
    dose = 0.0 if rng.random() < 0.25 else rng.uniform(0.4, 1.3)
    hounsfield = _levels(dose, rng)[canvas.tissue]
    hounsfield += _texture(canvas, rng)
    _table(canvas, hounsfield, rng)
    image = _scan(hounsfield, rng)
    if rng.random() < 0.6:  # as many published sets are: cut to a soft-tissue window
        level, half = rng.uniform(20, 80), rng.uniform(150, 320)
        image = np.clip(image, round(level - half), round(level + half))
    drawn = masks_of(canvas.labels())
    masks = distinct(drawn, np.clip(hounsfield, -300, 500), _LEAST_HU)
    return (Shot("ct", "CT", image, masks, {}, canvas.spacing_mm),)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """Axes ascend in L, A and S in the files, not as drawn."""
    for shot in shots:
        spacing = shot.spacing_mm or (1.0, 1.0, 1.0)
        labels = labels_of(shot.masks)
        write_nifti(folder / subject / f"{shot.name}.nii.gz", shot.image, spacing, "LAS")
        write_nifti(folder / subject / "segmentation.nii.gz", labels, spacing, "LAS")


FAMILY = Family(name="abdomen_ct", modalities=("CT",), draw=draw, write=write)


def _levels(dose: float, rng: np.random.Generator) -> Field:
    """HU by tissue: every subject has its own liver, bones and timing of the injection."""
    levels = np.zeros(max(Tissue) + 1)
    for tissue, (plain, uptake) in _HU.items():
        levels[tissue] = plain + dose * uptake * rng.normal(1.0, 0.2)
    soft = (levels > -50) & (levels < 400)
    levels[soft] += rng.normal(0, 6, int(soft.sum()))
    levels[Tissue.CORTEX] *= rng.uniform(0.6, 1.2)
    levels[Tissue.MARROW] *= rng.uniform(0.5, 1.3)
    if rng.random() < 0.3:  # a lesion may take up more than its organ
        levels[Tissue.TUMOUR] = levels[Tissue.LIVER] + rng.uniform(25, 60)
    if rng.random() < 0.25:  # positive oral contrast
        levels[Tissue.GUT] = levels[Tissue.FLUID] = rng.uniform(120, 320)
    if rng.random() < 0.2:  # late phase: the medium has reached the bladder
        levels[Tissue.URINE] = rng.uniform(150, 500)
    return levels


def _texture(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Grain of soft tissue in HU, coarser in marrow."""
    coarse = rng.uniform(3, 7) * smooth_noise(canvas.shape, (0.6, 4, 4), rng)
    coarse[canvas.tissue == Tissue.MARROW] *= 6.0
    coarse[(canvas.tissue == Tissue.AIR) | (canvas.tissue == Tissue.GAS)] = 0.0
    return np.asarray(coarse)


def _table(canvas: Canvas, hounsfield: Field, rng: np.random.Generator) -> None:
    """A thin curved couch below the skin, as far as the image reaches."""
    _, height, width = canvas.shape
    body = np.flatnonzero((canvas.tissue[1] > 0).any(axis=1))
    rows, columns = np.ogrid[:height, :width]
    sag = rng.uniform(0.0004, 0.0014) * (columns - width / 2) ** 2
    couch = np.abs(rows + sag - body[-1] - rng.uniform(4, 9)) < rng.uniform(1.0, 2.4)
    couch = couch & (np.abs(columns - width / 2) < 0.44 * width)
    for plane, tissue in zip(hounsfield, canvas.tissue, strict=True):
        plane[couch & (tissue == Tissue.AIR)] = -250.0


def _scan(hounsfield: Field, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur of a kernel, noise with its grain and, with some, streaks between dense bones."""
    sharp = rng.uniform(0.55, 1.3)
    values = gaussian_filter(hounsfield, (0.25, sharp, sharp))
    grain = rng.uniform(0.5, 1.0)
    amount = np.exp(rng.uniform(np.log(6.0), np.log(26.0)))
    values += amount * smooth_noise(values.shape, (0.0, grain, grain), rng)
    if rng.random() < 0.2:
        values += rng.uniform(4, 12) * smooth_noise(values.shape, (0.0, 1.0, 40.0), rng)
    clipped = np.clip(np.rint(values), _LOWEST_HU, _HIGHEST_HU)
    return np.asarray(clipped, dtype=np.int16)
