"""Photographs of the back of the eye: disc with cup, macula, vessel tree, lesions of both colours.

A subject is one eye, photographed twice from different directions and distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.pictures import (
    Outline,
    View,
    blend,
    camera,
    edge,
    expose,
    outline,
    tidy,
)
from engine.collection.phantoms.optical.vessel_tree import Vessel, paint_vessels, vessel_tree
from engine.collection.phantoms.raw_files import write_image

COLOURS = {
    "macula": (128, 128, 128),
    "atrophy": (0, 255, 255),
    "exudates": (0, 0, 255),
    "vessels": (0, 255, 0),
    "haemorrhages": (255, 0, 255),
    "optic_disc": (255, 255, 0),
    "optic_cup": (255, 0, 0),
}
"""Colours of the mask in the order they are painted: later ones win."""

OVER_MACULA = {"exudates": (0, 0, 128), "vessels": (0, 128, 0), "haemorrhages": (128, 0, 128)}
"""Colours of what lies in front of the macula, which belongs to both."""


@dataclass(frozen=True, eq=False)
class _Eye:
    """Anatomy in units of about a pixel, the disc's centre at 0, the macula at larger x."""

    left: bool
    disc: Outline
    cup: Outline
    macula: Outline
    darkness: float
    vessels: list[Vessel]
    tree_known: bool
    exudates: list[Outline]
    haemorrhages: list[Outline]
    atrophy: list[Outline]
    ground: Field
    tessellation: float


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two photographs of one eye: one over the macula, one over the disc or anywhere."""
    eye = _eye(rng)
    middle = (np.array(eye.macula.centre) * rng.uniform(0.35, 0.75)).tolist()
    focus = rng.normal(0.0, 18.0, 2).tolist()
    return (
        _shot("posterior", eye, middle, float(rng.uniform(0.8, 1.15)), rng),
        _shot("papilla", eye, focus, float(rng.uniform(1.0, 1.9)), rng),
    )


def _eye(rng: np.random.Generator) -> _Eye:
    size = rng.uniform(17, 33)
    radii = size * np.array([rng.uniform(0.98, 1.2), rng.uniform(0.84, 1.02)])
    disc = outline(rng, (0, 0), radii, rough=0.03, turn_deg=rng.normal(0, 15))
    ratio = rng.uniform(0.3, 0.82)
    shift = rng.normal(0.0, 0.35 * (1 - ratio), 2) * size
    cup = outline(rng, shift, ratio * radii * rng.uniform(0.88, 1.1, 2), rough=0.05)
    centre = np.array([rng.normal(9, 7), rng.uniform(78, 108)])
    macula = outline(rng, centre, rng.uniform(20, 36) * rng.uniform(0.85, 1.15, 2), rough=0.03)
    pale, dark = np.array([0.92, 0.50, 0.28]), np.array([0.52, 0.21, 0.09])
    share = rng.random()
    ill = rng.random(3) < (0.6, 0.5, 0.4)
    return _Eye(
        left=bool(rng.random() < 0.5),
        disc=disc,
        cup=cup,
        macula=macula,
        darkness=float(rng.uniform(0.28, 0.55)),
        vessels=vessel_tree(rng),
        tree_known=bool(rng.random() < 0.7),
        exudates=_exudates(centre, rng) if ill[0] else [],
        haemorrhages=_spots(rng, (1, 4), (7, 20), 0.12) if ill[1] else [],
        atrophy=_spots(rng, (1, 2), (16, 46), 0.08) if ill[2] else [],
        ground=(share * pale + (1 - share) * dark) * rng.uniform(0.9, 1.08, 3),
        tessellation=float(rng.uniform(0.0, 0.22)),
    )


def _exudates(macula: Field, rng: np.random.Generator) -> list[Outline]:
    """Mostly a few waxy patches, sometimes a wreath of small spots around the macula."""
    if rng.random() < 0.7:
        return _spots(rng, (1, 4), (8, 20), 0.2)
    angles = rng.uniform(0, 2 * np.pi, int(rng.integers(6, 16)))
    ring = rng.uniform(26, 44) + rng.normal(0, 4, len(angles))
    centres = macula + ring[:, None] * np.column_stack([np.sin(angles), np.cos(angles)])
    return [outline(rng, centre, rng.uniform(4, 7.5, 2), rough=0.1) for centre in centres]


def _spots(
    rng: np.random.Generator, count: tuple[int, int], size: tuple[float, float], rough: float
) -> list[Outline]:
    """Lesions anywhere but on the disc."""
    spots = []
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        radius = rng.uniform(*size)
        angle, far = rng.uniform(0, 2 * np.pi), radius + rng.uniform(36, 120)
        centre = (far * np.sin(angle), 28 + far * np.cos(angle) * 1.1)
        radii = radius * np.array([rng.uniform(0.5, 1.0), 1.0])
        if np.hypot(*centre) > radius + 34:
            spots.append(outline(rng, centre, radii, rough=rough, decay=0.8))
    return spots


def _shot(name: str, eye: _Eye, focus: list[float], scale: float, rng: np.random.Generator) -> Shot:
    shape = int(rng.integers(256, 297)), int(rng.integers(288, 337))
    view = View(shape, (focus[0], focus[1]), scale, float(rng.normal(0, 6)), eye.left)
    where = view.where()
    aperture = _aperture(shape, rng)
    fields = {
        "macula": eye.macula.field(where),
        "atrophy": _union(eye.atrophy, where),
        "exudates": _union(eye.exudates, where),
        "haemorrhages": _union(eye.haemorrhages, where),
        "optic_disc": eye.disc.field(where),
    }
    fields["optic_cup"] = np.maximum(eye.cup.field(where), fields["optic_disc"] / 0.97)
    colour = _retina(eye, fields, rng)
    flow = paint_vessels(colour, eye.vessels, eye.ground, view)
    blend(colour, 0.85 * edge(fields["haemorrhages"], 0.06), 0.42 * eye.ground)
    seen = aperture < 0.97
    masks = {name: (field <= 1.0) & seen for name, field in fields.items()}
    masks["vessels"] = flow & seen & (eye.tree_known)
    lens = camera(rng, blur_px=1.5, noise=0.035)
    light = _illumination(aperture, shape, rng)
    image = expose(colour * light[..., None], lens, rng)
    return Shot(name, "fundus", image, _visible(masks), {})


def _union(outlines: list[Outline], where: Field) -> Field:
    field = np.full(where.shape[1:], np.inf)
    for shape in outlines:
        np.minimum(field, shape.field(where), out=field)
    return field


def _aperture(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Distance from the optical axis in radii of the round mask, which the film may cut."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shape)
    radius = rng.uniform(0.44, 0.6) * max(shape)
    centre = rng.normal(0.0, 3.0, 2)
    return np.asarray(
        np.hypot((rows - centre[0])[:, None], (columns - centre[1])[None, :]) / radius
    )


def _illumination(aperture: Field, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    uneven = 1.0 + rng.uniform(0.02, 0.12) * smooth_noise(shape, (70, 70), rng)
    fall = 1.05 - rng.uniform(0.1, 0.55) * np.minimum(aperture, 1.2) ** 2.5
    return np.asarray(uneven * fall * np.clip((1.0 - aperture) * 60.0, 0.01, 1.0))


def _retina(eye: _Eye, fields: dict[str, Field], rng: np.random.Generator) -> Field:
    """Everything behind the vessels: pigment, choroid, macula, pale lesions, disc and cup."""
    shape = fields["macula"].shape
    choroid = np.abs(smooth_noise(shape, (6, 6), rng)) - 0.8
    mottle = smooth_noise(shape, (22, 22), rng) + 0.5 * smooth_noise(shape, (2.5, 2.5), rng)
    light = 1.0 + 0.05 * mottle - eye.tessellation * choroid
    light *= 1.0 - eye.darkness * edge(fields["macula"] * 0.55 + 0.45, 0.12)
    light -= 0.1 * np.exp(-((fields["macula"] / 0.22) ** 2))
    colour = light[..., None] * eye.ground
    pale = np.clip(eye.ground * 1.3 + (0.1, 0.2, 0.16), 0, 1)
    blend(colour, rng.uniform(0.35, 0.8) * edge(fields["atrophy"], 0.05), pale)
    waxy = np.clip(1.0 + 0.3 * smooth_noise(shape, (2, 2), rng), 0.3, 1.0)
    blend(colour, waxy * edge(fields["exudates"], 0.05), (0.96, 0.86, 0.50))
    disc = np.clip(eye.ground * (1.12, 1.75, 2.2), 0, (0.86, 0.72, 0.55))
    blend(colour, 0.9 * edge(fields["optic_disc"], rng.uniform(0.02, 0.07)), disc)
    cup = np.clip(disc * (1.2, 1.45, 1.75), 0, (1.0, 0.96, 0.86))
    blend(colour, rng.uniform(0.6, 1.0) * edge(fields["optic_cup"], rng.uniform(0.03, 0.12)), cup)
    return colour


def _visible(masks: dict[str, Mask]) -> dict[str, Mask]:
    """What the coloured mask can say: who covers whom, without small fragments."""
    hidden = np.zeros_like(masks["macula"])
    out: dict[str, Mask] = {}
    for name in reversed(COLOURS):
        mask = masks[name] & ~hidden
        hidden |= masks[name] if name not in ("macula", "optic_cup") else False
        out[name] = mask if name == "macula" else tidy(mask)
    out["macula"] = tidy(masks["macula"] & ~masks["optic_disc"] & ~masks["atrophy"])
    return {name: out[name] for name in COLOURS if out[name].any()}


def coloured(masks: dict[str, Mask], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8[y, x, 3]: the masks in `COLOURS`, in front of the macula in `OVER_MACULA`."""
    out = np.zeros((*shape, 3), dtype=np.uint8)
    macula = masks.get("macula", np.zeros(shape, dtype=np.bool_))
    for name, colour in COLOURS.items():
        if name in masks:
            out[masks[name]] = colour
            if name in OVER_MACULA:
                out[masks[name] & macula] = OVER_MACULA[name]
    return out


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """JPEG photographs and colour-coded PNG masks."""
    for shot in shots:
        mask = coloured(shot.masks, (shot.image.shape[0], shot.image.shape[1]))
        write_image(folder / "images" / f"{subject}_{shot.name}.jpg", shot.image)
        write_image(folder / "masks" / f"{subject}_{shot.name}.png", mask)


FAMILY = Family(name="fundus", modalities=("fundus",), draw=draw, write=write)
