"""Dermoscopy: pigmented lesions with ragged borders on skin of every tone, under hairs and gel.

Skin is a reflectance dimmed by melanin and blood (Beer-Lambert), so a lesion on dark skin differs
from one on fair skin as it does in life.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise, walk
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.pictures import (
    Outline,
    View,
    blend,
    camera,
    edge,
    expose,
    outline,
    picture_size,
    strokes,
    tidy,
)
from engine.collection.phantoms.raw_files import write_image

_MELANIN = np.array([0.55, 1.0, 1.5])
_BLOOD = np.array([0.12, 0.85, 0.65])
_BARE = np.array([0.97, 0.90, 0.84])
_VEIL = np.array([0.45, 0.48, 0.58])


@dataclass(frozen=True, eq=False)
class _Patient:
    """Skin and lesion, in units of about a pixel, the lesion around 0.

    Attributes:
        melanin, blood: of the skin; depth, redness: what the lesion adds.
        softness: of the lesion's border, in its radii; fray: how far it runs out into the skin.
        network: strength and width of the net of pigment lines.
        core, veil: darker and bluish parts of the lesion; None where it has none.
        milk: how thick the veil is.
    """

    melanin: float
    blood: float
    depth: float
    redness: float
    softness: float
    network: tuple[float, float]
    patches: float
    fray: float
    lesion: Outline
    core: Outline | None
    veil: Outline | None
    milk: float
    hairs: int
    hair_tint: Field
    hair_known: bool


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two photographs of one lesion, turned and at another distance."""
    patient = _patient(rng)
    return tuple(_shot(name, patient, rng) for name in ("contact", "polarised"))


def _patient(rng: np.random.Generator) -> _Patient:
    dark = rng.random() ** 2
    radius = float(np.exp(rng.uniform(np.log(24), np.log(95))))
    ratio = rng.uniform(0.55, 1.0)
    ragged = rng.random() < 0.5
    lesion = outline(
        rng,
        (0, 0),
        (radius * ratio, radius),
        rough=rng.uniform(0.04, 0.12) if ragged else rng.uniform(0.01, 0.06),
        decay=rng.uniform(0.9, 1.4) if ragged else 1.6,
        waves=30,
    )
    core = _part(rng, lesion, (0.35, 0.7)) if rng.random() < 0.6 else None
    veil = _part(rng, lesion, (0.25, 0.5)) if rng.random() < 0.3 else None
    hairs = int(rng.integers(*((0, 1), (0, 1), (2, 9), (10, 30))[int(rng.integers(4))]))
    fair = rng.random() < 0.25
    return _Patient(
        melanin=0.06 + 0.75 * dark + rng.uniform(0, 0.1),
        blood=float(rng.uniform(0.05, 0.45)),
        depth=float(np.exp(rng.uniform(np.log(0.16), np.log(1.5))) + 0.5 * dark),
        redness=float(rng.uniform(0.0, 0.6) * (rng.random() < 0.6)),
        softness=float(np.exp(rng.uniform(np.log(0.02), np.log(0.12)))),
        network=(float(rng.uniform(0, 0.7)), float(rng.uniform(1.6, 3.5))),
        patches=float(rng.uniform(0.05, 0.5)),
        fray=float(rng.uniform(0.02, 0.14)) if ragged else 0.01,
        lesion=lesion,
        core=core,
        veil=veil,
        milk=float(rng.uniform(0.35, 0.85)),
        hairs=hairs,
        hair_tint=np.array([0.72, 0.62, 0.45]) if fair else rng.uniform(0.06, 0.22) * np.ones(3),
        hair_known=bool(rng.random() < 0.25),
    )


def _part(rng: np.random.Generator, lesion: Outline, size: tuple[float, float]) -> Outline:
    """A part of the lesion, off its centre."""
    share = rng.uniform(*size)
    radius = min(lesion.radii)
    shift = rng.normal(0.0, 0.45 * (1.0 - share), 2) * radius
    return outline(rng, shift, share * radius * rng.uniform(0.75, 1.3, 2), rough=0.12, decay=0.8)


def _shot(name: str, patient: _Patient, rng: np.random.Generator) -> Shot:
    shape = picture_size(rng)
    scale = float(np.exp(rng.normal(0.0, 0.15)))
    reach = patient.lesion.reach * scale
    roam = np.clip(np.array(shape) / 2 - 0.7 * reach, 8, 60)
    focus = rng.uniform(-1, 1, 2) * roam / scale
    view = View(shape, (float(focus[0]), float(focus[1])), scale, float(rng.uniform(0, 360)))
    where = view.where()
    parts = {"lesion": patient.lesion, "core": patient.core, "veil": patient.veil}
    fray = patient.fray * smooth_noise(shape, (5, 5), rng)
    fields = {key: part.field(where) + fray for key, part in parts.items() if part is not None}
    colour = _skin(patient, fields, shape, rng)
    hairs = _hairs(shape, patient, scale, rng)
    blend(colour, 0.85 * hairs, patient.hair_tint)
    _artefacts(colour, name, rng)
    lens = camera(rng, blur_px=1.5, noise=0.03)
    lens = replace(lens, gain=lens.gain * (1.0 + 0.5 * patient.melanin))
    image = expose(colour * _dome(shape, rng)[..., None], lens, rng)
    lesion = fields["lesion"] <= 1.0
    masks: dict[str, Mask] = {"lesion": lesion}
    for key, field in fields.items():
        if key != "lesion":
            masks[f"lesion_{key}"] = lesion & (field <= 1.0)
    if patient.hair_known:
        masks["hair"] = np.asarray(hairs >= 0.5)
    masks = {key: tidy(mask) for key, mask in masks.items()}
    return Shot(
        name, "dermoscopy", image, {key: mask for key, mask in masks.items() if mask.any()}, {}
    )


def _skin(
    patient: _Patient, fields: dict[str, Field], shape: tuple[int, int], rng: np.random.Generator
) -> Field:
    """Light from skin and lesion: furrows, freckles, pigment net, patches, core and veil."""
    furrows = np.abs(smooth_noise(shape, (3, 5), rng))
    melanin = patient.melanin * (1.0 + 0.08 * furrows + 0.08 * smooth_noise(shape, (25, 25), rng))
    melanin += 0.12 * np.clip(smooth_noise(shape, (4, 4), rng) - 2.2, 0, 1)
    blood = patient.blood * (1.0 + 0.15 * smooth_noise(shape, (18, 18), rng))
    strength, width = patient.network
    net = np.exp(-((smooth_noise(shape, (width, width), rng) / 0.45) ** 2)) - 0.45
    patches = patient.patches * smooth_noise(shape, (9, 9), rng)
    grain = 0.15 * smooth_noise(shape, (1.5, 1.5), rng)
    inside = edge(fields["lesion"], patient.softness)
    share = inside * np.clip(1.0 + strength * net + patches + grain, 0.25, 2.2)
    melanin += patient.depth * share
    blood += patient.redness * inside
    if "core" in fields:
        melanin += (0.35 + 0.35 * patient.depth) * inside * edge(fields["core"], 0.06)
    colour = _BARE * np.exp(-melanin[..., None] * _MELANIN - blood[..., None] * _BLOOD)
    if "veil" in fields:
        milk = np.clip(patient.milk + 0.2 * smooth_noise(shape, (6, 6), rng), 0, 1)
        blend(colour, milk * inside * edge(fields["veil"], 0.09), _VEIL)
    return np.asarray(colour)


def _hairs(
    shape: tuple[int, int], patient: _Patient, scale: float, rng: np.random.Generator
) -> Field:
    """Share of each pixel under a hair; hairs of one patch of skin lean the same way."""
    lean = rng.uniform(0, 360)
    lines = []
    for _ in range(patient.hairs):
        start = rng.uniform(-20, 20 + np.array(shape), 2)
        heading, bend = lean + rng.normal(0, 25), float(rng.normal(0, 45))
        path = walk(start, heading, rng.uniform(60, 260), rng, bend_deg=bend, wander_deg=0.6)
        width = scale * rng.uniform(0.6, 1.5)
        lines.append((path, np.linspace(width, 0.5 * width, len(path))))
    return strokes(shape, lines)


def _artefacts(colour: Field, name: str, rng: np.random.Generator) -> None:
    """What lies on the skin and has no label: ruler, gel bubbles, a sticker, pen marks."""
    chances = rng.random(4)
    if chances[0] < 0.25:
        _ruler(colour, rng)
    if chances[1] < (0.5 if name == "contact" else 0.1):
        _bubbles(colour, rng)
    if chances[2] < 0.12:
        _sticker(colour, rng)
    if chances[3] < 0.12:
        start = rng.uniform(0.1, 0.9, 2) * colour.shape[:2]
        path = walk(start, rng.uniform(0, 360), rng.uniform(30, 90), rng, wander_deg=6.0)
        blend(colour, 0.7 * strokes(colour.shape[:2], [(path, 3.5)]), (0.35, 0.15, 0.5))


def _ruler(colour: Field, rng: np.random.Generator) -> None:
    """Millimetre ticks along an edge of the picture."""
    height, width = colour.shape[:2]
    step, base = rng.uniform(9, 22), rng.uniform(4, 20)
    lines = []
    for number, along in enumerate(np.arange(rng.uniform(0, step), max(height, width), step)):
        tick = np.arange(0.0, 16.0 if number % 5 == 0 else 9.0)
        lines.append((np.column_stack([base + tick, np.full_like(tick, along)]), 0.7))
    cover = strokes((max(height, width),) * 2, lines)
    turned = np.rot90(cover, int(rng.integers(0, 4)))[:height, :width]
    blend(colour, 0.8 * turned, (0.1, 0.1, 0.12))


def _bubbles(colour: Field, rng: np.random.Generator) -> None:
    shape = (colour.shape[0], colour.shape[1])
    where = View(shape).where()
    for _ in range(int(rng.integers(1, 8))):
        radius = rng.uniform(4, 20)
        centre = rng.uniform(-0.5, 0.5, 2) * shape
        bubble = outline(rng, centre, (radius, radius), rough=0.02).field(where)
        rim = np.exp(-(((bubble - 1.0) * radius / 1.6) ** 2))
        colour *= 1.0 - 0.25 * rim[..., None]
        spot = outline(rng, centre - 0.45 * radius, (1 + 0.14 * radius,) * 2, rough=0.1)
        blend(colour, 0.9 * edge(spot.field(where), 0.2), (1.0, 1.0, 1.0))
        blend(colour, np.where(bubble < 1.0, 0.1, 0.0), (1.0, 1.0, 1.0))


def _sticker(colour: Field, rng: np.random.Generator) -> None:
    """A coloured calibration disc, cut by the border."""
    shape = (colour.shape[0], colour.shape[1])
    corner = rng.choice([-0.5, 0.5], 2) * shape
    disc = outline(rng, corner, rng.uniform(35, 60) * np.ones(2), rough=0.0)
    blend(colour, edge(disc.field(View(shape).where()), 0.02), rng.uniform(0.1, 0.9, 3))


def _dome(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Light under the dermoscope: uneven, sometimes with a dark round edge."""
    light = 1.0 + rng.uniform(0.01, 0.08) * smooth_noise(shape, (80, 80), rng)
    if rng.random() < 0.3:
        where = View(shape).where()
        radius = rng.uniform(0.46, 0.62) * max(shape)
        light *= edge(np.hypot(*where) / radius, float(rng.uniform(0.005, 0.05)))
    return np.asarray(light)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """JPEG photographs, one binary PNG per structure."""
    for shot in shots:
        write_image(folder / "images" / f"{subject}_{shot.name}.jpg", shot.image)
        for structure, mask in shot.masks.items():
            write_image(folder / "masks" / structure / f"{subject}_{shot.name}.png", mask)


FAMILY = Family(name="dermoscopy", modalities=("dermoscopy",), draw=draw, write=write)
