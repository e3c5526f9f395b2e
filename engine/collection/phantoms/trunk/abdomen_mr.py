"""Trunks in MR: two sequences of one anatomy per subject, a mask file per structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.raw_files import write_nifti
from engine.collection.phantoms.trunk.abdomen import abdomen
from engine.collection.phantoms.trunk.canvas import Canvas, Tissue, distinct, masks_of

# Proton density, T1 and T2 in ms at 1.5 T, rounded from published tables.
_RELAXATION: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (0.0, 1000, 50),
    Tissue.FAT: (0.95, 290, 85),
    Tissue.MUSCLE: (0.78, 900, 45),
    Tissue.MESENTERY: (0.90, 310, 80),
    Tissue.CORTEX: (0.12, 800, 8),
    Tissue.MARROW: (0.75, 480, 70),
    Tissue.FLUID: (1.0, 2800, 600),
    Tissue.LIVER: (0.76, 580, 48),
    Tissue.SPLEEN: (0.85, 1050, 80),
    Tissue.KIDNEY: (0.86, 970, 87),
    Tissue.MEDULLA: (0.90, 1410, 110),
    Tissue.ARTERY: (0.35, 1450, 60),
    Tissue.VEIN: (0.50, 1450, 110),
    Tissue.GUT_WALL: (0.80, 1000, 60),
    Tissue.GUT: (0.85, 1100, 120),
    Tissue.GAS: (0.0, 1000, 50),
    Tissue.URINE: (1.0, 3200, 900),
    Tissue.TUMOUR: (0.88, 1250, 105),
    Tissue.NECROSIS: (0.95, 2200, 260),
    Tissue.GLAND: (0.85, 1250, 95),
    Tissue.LUNG: (0.12, 1100, 30),
    Tissue.TABLE: (0.0, 1000, 50),
    Tissue.DISC: (0.85, 1100, 75),
}

_LEAST = 0.05  # what differs less from its surround in a sequence is not labelled in it


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """A T1- and a T2-weighted volume; the patient holds still between them."""
    canvas = abdomen(rng)
    fat = 0.12 if rng.random() < 0.4 else 1.0
    drawn = masks_of(canvas.labels())
    shots = []
    for name in ("t1w", "t2w"):
        signal = _textured(canvas, _signal(name, fat, rng), rng)
        masks = distinct(drawn, signal, _LEAST)
        shots.append(Shot(name, "MRI", _scan(signal, rng), masks, {}, canvas.spacing_mm))
    return tuple(shots)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """Axes ascend in P, L and I in the files, not as drawn."""
    for shot in shots:
        spacing = shot.spacing_mm or (1.0, 1.0, 1.0)
        write_nifti(folder / subject / f"{shot.name}.nii.gz", shot.image, spacing, "PLI")
        for structure, mask in shot.masks.items():
            path = folder / subject / shot.name / f"{structure}.nii.gz"
            write_nifti(path, mask.astype(np.uint8), spacing, "PLI")


FAMILY = Family(name="abdomen_mr", modalities=("MRI",), draw=draw, write=write)


def _signal(sequence: str, fat: float, rng: np.random.Generator) -> Field:
    """Spin-echo signal by tissue, the brightest common one near 1; relaxation varies by subject."""
    repetition, echo = (
        (rng.uniform(250, 800), rng.uniform(4, 18))
        if sequence == "t1w"
        else (rng.uniform(2500, 6000), rng.uniform(60, 120))
    )
    levels = np.zeros(max(Tissue) + 1)
    for tissue, (density, t1, t2) in _RELAXATION.items():
        t1, t2 = t1 * rng.uniform(0.85, 1.15), t2 * rng.uniform(0.85, 1.15)
        levels[tissue] = density * (1 - np.exp(-repetition / t1)) * np.exp(-echo / t2)
    levels[[Tissue.FAT, Tissue.MESENTERY]] *= fat
    if rng.random() < 0.4:  # inflow or a contrast medium brightens vessels
        levels[[Tissue.ARTERY, Tissue.VEIN]] = np.quantile(levels, 0.9) * rng.uniform(0.7, 1.2)
    return np.asarray(levels / np.quantile(levels, 0.92))


def _textured(canvas: Canvas, levels: Field, rng: np.random.Generator) -> Field:
    """Tissue is not quite even; fibres and fat stripe it over a few millimetres."""
    grain = smooth_noise(canvas.shape, (0.5, 2.5, 2.5), rng)
    return np.asarray(levels[canvas.tissue] * (1.0 + rng.uniform(0.02, 0.07) * grain))


def _scan(signal: Field, rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur, breathing ghosts, the shading of a coil, Rician noise, an arbitrary gain."""
    sharp = rng.uniform(0.45, 1.15)
    values = gaussian_filter(signal, (0.25, sharp, sharp))
    if rng.random() < 0.3:
        ghost = np.roll(values, int(rng.integers(20, 60)), axis=1)
        values += rng.uniform(0.02, 0.08) * ghost
    thirds = [n / 3 for n in signal.shape]
    values *= np.exp(rng.uniform(0.05, 0.3) * smooth_noise(signal.shape, thirds, rng))
    noise = np.exp(rng.uniform(np.log(0.012), np.log(0.06)))
    real = values + noise * rng.standard_normal(signal.shape)
    imaginary = noise * rng.standard_normal(signal.shape)
    gain = np.exp(rng.uniform(np.log(100.0), np.log(3000.0)))
    return np.asarray(gain * np.hypot(real, imaginary), dtype=np.float32)
