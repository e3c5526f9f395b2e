"""A heart in two MR views: short-axis cine at three moments, and a second contrast.

The second series is either axial bright blood with all chambers and great vessels (stored with
the label values of whole-heart collections) or a late enhancement in short axis that shows a scar.
The cine is one 4-D file with a 4-D label map: right ventricle 1, myocardium 2, left ventricle 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.mr.heart_anatomy import Body, Kind, body
from engine.collection.phantoms.mr.heart_views import View, axial, masks_at, scanned, short_axis
from engine.collection.phantoms.mr.physics import (
    AIR,
    Tissue,
    balanced_echo,
    gradient_echo,
    inversion_recovery,
    magnitude,
    partial_volume,
    zero_filled,
)
from engine.collection.phantoms.raw_files import write_nifti
from engine.collection.phantoms.tidy import seen, without_crumbs

MOMENTS = (("ed", 0.0), ("mid", 0.5), ("es", 1.0))
CINE_VALUES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
CMR_VALUES = {
    "left_ventricle": 500,
    "right_ventricle": 600,
    "left_atrium": 420,
    "right_atrium": 550,
    "myocardium": 205,
    "ascending_aorta": 820,
    "descending_aorta": 821,
    "pulmonary_artery": 850,
    "scar": 221,
}
_LEAST_CONTRAST = 0.04

# In the order of Kind, around 1.5 T: PD, T1 ms, T2 ms, ADC, uptake 1/s, texture.
_TYPICAL = (
    AIR,
    Tissue(0.70, 280, 70, 0.1, 0.0, 0.06),
    Tissue(0.75, 930, 40, 1.3, 0.5, 0.06),
    Tissue(0.06, 500, 8, 0.3, 0.0, 0.20),
    Tissue(0.55, 450, 60, 0.3, 0.1, 0.12),
    Tissue(0.14, 1100, 40, 1.0, 0.3, 0.35),
    Tissue(0.98, 1450, 240, 2.0, 2.5, 0.04),
    Tissue(0.80, 1000, 48, 1.3, 1.0, 0.04),
    Tissue(0.85, 1100, 60, 1.4, 3.6, 0.12),
    Tissue(0.75, 580, 45, 1.1, 1.0, 0.05),
    Tissue(0.82, 1050, 75, 0.9, 1.2, 0.04),
    Tissue(0.55, 3000, 500, 2.8, 0.0, 0.03),
    Tissue(0.72, 850, 78, 0.9, 0.1, 0.03),
)


@dataclass(frozen=True)
class _Scan:
    """How good the scanner is, shared by the series of an examination."""

    noise: float
    bias: float
    blur_px: float


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Three moments of a cine and one series of another contrast of one person."""
    person = body(rng)
    tissues = tuple(tissue.varied(rng) for tissue in _TYPICAL)
    scan = _Scan(
        noise=float(np.exp(rng.uniform(np.log(0.012), np.log(0.06)))),
        bias=float(rng.uniform(0.08, 0.35)),
        blur_px=float(rng.uniform(0.6, 1.2)),
    )
    shots = _cine(person, tissues, scan, rng)
    if rng.random() < (0.65 if person.scar[2] else 0.2):
        return (*shots, _late(person, tissues, scan, rng))
    return (*shots, _whole(person, tissues, scan, rng))


def _cine(
    person: Body, tissues: tuple[Tissue, ...], scan: _Scan, rng: np.random.Generator
) -> list[Shot]:
    view = short_axis(person, rng)
    sequence = _cine_sequence(tissues[Kind.BLOOD], rng)
    shots = []
    gain = float(rng.uniform(150, 900))
    for name, beat in MOMENTS:
        masks = masks_at(person, view, beat)
        signal = scanned(person, view, masks, tissues, sequence)
        image, clean = _received(signal, scan, gain, rng)
        shots.append(_shot(f"cine_{name}", "Cine-MRI", image, clean, masks, CINE_VALUES, view))
    return shots


def _cine_sequence(blood: Tissue, rng: np.random.Generator) -> Callable[[Tissue], float]:
    """Balanced echoes; on older scanners spoiled ones, bright where fresh blood flows in."""
    flip = float(rng.uniform(38, 65))
    if rng.random() < 0.75:
        return lambda tissue: balanced_echo(tissue, 3.2, flip)

    def spoiled(tissue: Tissue) -> float:
        inflow = 2.6 if tissue is blood else 1.0
        return inflow * gradient_echo(tissue, 6.0, 3.0, 0.4 * flip)

    return spoiled


def _late(person: Body, tissues: tuple[Tissue, ...], scan: _Scan, rng: np.random.Generator) -> Shot:
    """Ten minutes after gadolinium, inverted so that healthy muscle is nearly black."""
    view = short_axis(person, rng)
    masks = masks_at(person, view, 0.15)
    dose = float(rng.uniform(0.8, 1.2))
    after = tuple(tissue.with_gadolinium(dose) for tissue in tissues)
    ti = after[Kind.HEART].t1_ms * np.log(2) * float(rng.uniform(0.82, 1.0))
    fat = float(rng.choice([0.3, 0.7]))

    def sequence(tissue: Tissue) -> float:
        echo = inversion_recovery(tissue, 1600, 3.0, float(ti))
        return echo * fat if tissue in (after[Kind.FAT], after[Kind.MARROW]) else echo

    signal = scanned(person, view, masks, after, sequence)
    image, clean = _received(signal, scan, float(rng.uniform(150, 900)), rng)
    return _shot("cmr", "CMR", image, clean, masks, CMR_VALUES, view)


def _whole(
    person: Body, tissues: tuple[Tissue, ...], scan: _Scan, rng: np.random.Generator
) -> Shot:
    """Axial bright blood, prepared by T2, mostly without the signal of fat."""
    view = axial(person, rng)
    masks = masks_at(person, view, float(rng.uniform(0.0, 0.2)))
    prepared, fat = float(rng.uniform(10, 40)), float(rng.choice([0.15, 0.4, 0.8]))
    oily = (tissues[Kind.FAT], tissues[Kind.MARROW])

    def sequence(tissue: Tissue) -> float:
        echo = balanced_echo(tissue, 4.5, 70.0) * float(np.exp(-prepared / tissue.t2_ms))
        return echo * fat if tissue in oily else echo

    image, clean = _received(
        scanned(person, view, masks, tissues, sequence), scan, float(rng.uniform(150, 900)), rng
    )
    return _shot("cmr", "CMR", image, clean, masks, CMR_VALUES, view)


def _received(
    signal: Field, scan: _Scan, gain: float, rng: np.random.Generator
) -> tuple[NDArray[np.int16], Field]:
    """(the stored picture, the signal without noise, brightest about 1)."""
    blurred = partial_volume(signal, scan.blur_px)
    blurred = zero_filled(blurred, float(rng.uniform(0.5, 0.85)))
    image = magnitude(
        blurred, rng, noise=scan.noise * float(rng.uniform(0.8, 1.2)), bias=scan.bias, gain=gain
    )
    top = float(np.quantile(blurred[:, ::3, ::3], 0.98)) or 1.0
    return np.rint(np.clip(image, 0, 32767)).astype(np.int16), blurred / top


def _shot(
    name: str,
    modality: str,
    image: NDArray[np.int16],
    clean: Field,
    masks: dict[str, Mask],
    values: dict[str, int],
    view: View,
) -> Shot:
    """A series with those of its structures that it shows."""
    whole = dict(masks)
    if "scar" not in values or not seen(clean, masks["scar"], 0.12).any():
        whole["myocardium"] = masks["myocardium"] | whole.pop("scar")
    tidy = {name: without_crumbs(whole[name]) for name in values if name in whole}
    shown = {name: seen(clean, mask, _LEAST_CONTRAST) for name, mask in tidy.items()}
    labels = {name: mask for name, mask in shown.items() if mask.any()}
    return Shot(name, modality, image, labels, {}, view.spacing_mm)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """`{subject}/cine.nii.gz` and `cine_gt.nii.gz` (4-D), `cmr.nii.gz` and `cmr_gt.nii.gz`."""
    home = folder / subject
    *cine, cmr = shots
    spacing = cine[0].spacing_mm or (1.0, 1.0, 1.0)
    moments = np.stack([shot.image for shot in cine])
    labels = np.stack([_values(shot, CINE_VALUES).astype(np.uint8) for shot in cine])
    write_nifti(home / "cine.nii.gz", moments, spacing, "LAS")
    write_nifti(home / "cine_gt.nii.gz", labels, spacing, "LAS")
    spacing = cmr.spacing_mm or (1.0, 1.0, 1.0)
    write_nifti(home / "cmr.nii.gz", cmr.image, spacing, "PIR")
    write_nifti(home / "cmr_gt.nii.gz", _values(cmr, CMR_VALUES), spacing, "PIR")


def _values(shot: Shot, values: dict[str, int]) -> NDArray[np.uint16]:
    stored = np.zeros(shot.image.shape, dtype=np.uint16)
    for structure, mask in shot.masks.items():
        stored[mask] = values[structure]
    return stored


FAMILY = Family(name="heart", modalities=("Cine-MRI", "CMR"), draw=draw, write=write)
