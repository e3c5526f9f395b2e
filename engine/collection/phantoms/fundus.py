"""Photographs of the back of the eye: optic disc with cup, vessel tree, exudates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import (
    Field,
    Mask,
    ellipsoid,
    grid,
    smooth_noise,
    tube,
    walk,
)
from engine.collection.phantoms.formation import fundus

SHAPE = (320, 352)
COLOURS = {
    "disc_rim": (255, 255, 0),
    "cup": (255, 0, 0),
    "vessels": (0, 255, 0),
    "exudates": (0, 0, 255),
}
"""Colours of the mask, in the order they are painted: later ones win."""

_DISC_PX = 27.0


@dataclass(frozen=True)
class Eye:
    """`image`: uint8[y, x, 3], RGB; `mask`: uint8[y, x, 3] in `COLOURS`, black elsewhere."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class _Vessel:
    path: Field
    radii: Field
    artery: bool


def eye(rng: np.random.Generator) -> Eye:
    """Draw one eye; the disc lies on either side."""
    side = int(rng.choice([-1, 1]))
    where = grid(SHAPE, (1.0, 1.0))
    aperture = ellipsoid(where, (0, 0), (150, 150))
    centre = np.array([rng.uniform(-8, 8), side * rng.uniform(58, 68)])
    macula = centre + np.array([rng.uniform(4, 12), -side * 92.0])
    disc, cup = _disc(where, centre, rng)
    vessels = _tree(centre, side, rng)
    flow = _drawn(vessels) & (aperture < 0.97)
    spots = _exudates(where, macula, rng) & (aperture < 0.95)
    colour = _retina(where, macula, rng)
    _paint_disc(colour, disc, cup)
    _paint_vessels(colour, vessels)
    colour[spots] = (0.93, 0.80, 0.42)
    parts = {
        "vessels": flow & (disc > 1.0),
        "exudates": spots & ~flow & (disc > 1.0),
        "disc_rim": disc <= 1.0,
        "cup": cup <= 1.0,
    }
    return Eye(fundus(colour, aperture, rng), _coloured(parts))


def _disc(where: Field, centre: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Fields of the optic disc and of the cup inside it."""
    wobble = 0.035 * smooth_noise(SHAPE, (14, 14), rng)
    radii = (_DISC_PX * rng.uniform(1.0, 1.12), _DISC_PX * rng.uniform(0.92, 1.0))
    disc = ellipsoid(where, centre, radii, wobble=wobble)
    ratio = rng.uniform(0.42, 0.62)
    shifted = centre + rng.normal(0.0, 1.5, 2)
    cup = ellipsoid(where, shifted, np.multiply(radii, ratio), wobble=1.5 * wobble)
    return disc, np.maximum(cup, disc)


def _retina(where: Field, macula: Field, rng: np.random.Generator) -> Field:
    """Orange ground, mottled, darker at the macula."""
    mottle = smooth_noise(SHAPE, (22, 22), rng) + 0.5 * smooth_noise(SHAPE, (3, 3), rng)
    light = 1.0 + 0.05 * mottle
    shadow = np.exp(-0.5 * ((where[0] - macula[0]) ** 2 + (where[1] - macula[1]) ** 2) / 20.0**2)
    light -= 0.33 * shadow
    ground = np.array([0.80, 0.38, 0.16]) * rng.uniform(0.92, 1.05, 3)
    return light[..., None] * ground


def _paint_disc(colour: Field, disc: Field, cup: Field) -> None:
    """Yellow with a soft edge, paler in the cup."""
    for field, tint, soft in (
        (disc, np.array([0.96, 0.74, 0.42]), 14.0),
        (cup, np.array([1.0, 0.92, 0.70]), 7.0),
    ):
        share = 1.0 / (1.0 + np.exp(np.clip(soft * (field - 1.0), -50, 50)))
        colour += share[..., None] * (tint - colour)


def _tree(centre: Field, side: int, rng: np.random.Generator) -> list[_Vessel]:
    """Arcades from the disc, up and down, around the macula and to the near side."""
    vessels: list[_Vessel] = []
    origin = centre + grid(SHAPE, (1.0, 1.0))[:, 0, 0] * -1.0  # from the middle to pixel indices
    for up in (-1, 1):
        for artery in (True, False):
            for towards, bend, length in ((-side, 62.0, 210.0), (side, -25.0, 90.0)):
                straight = 0.0 if towards > 0 else 180.0
                turn = up * towards
                heading = straight + turn * (72 + (8 if artery else -6) + rng.normal(0, 4))
                radius = (1.9 if artery else 2.5) * (1.0 if length > 100 else 0.75)
                root = origin + rng.normal(0.0, 2.0, 2)
                _grow(vessels, root, heading, length, radius, -turn * bend, artery, 2, rng)
    return vessels


def _grow(
    vessels: list[_Vessel],
    start: Field,
    heading_deg: float,
    length: float,
    radius: float,
    bend_deg: float,
    artery: bool,
    depth: int,
    rng: np.random.Generator,
) -> None:
    """One vessel that thins out, and its branches."""
    path = walk(start, heading_deg, length, rng, bend_deg=bend_deg, wander_deg=2.5)
    radii = np.linspace(radius, 0.6 * radius, len(path))
    vessels.append(_Vessel(path, radii, artery))
    if depth == 0:
        return
    for share in rng.uniform(0.25, 0.85, depth + 1):
        at = int(share * len(path))
        step = path[at] - path[at - 1]
        forward = np.rad2deg(np.arctan2(step[0], step[1]))
        aside = rng.choice([-1.0, 1.0]) * rng.uniform(25, 55)
        thin = max(0.65, 0.62 * float(radii[at]))
        shorter = 0.42 * length
        _grow(vessels, path[at], forward + aside, shorter, thin, -aside, artery, depth - 1, rng)


def _drawn(vessels: list[_Vessel]) -> Mask:
    """Vessels wide enough to be labelled."""
    mask = np.zeros(SHAPE, dtype=np.bool_)
    for vessel in vessels:
        seen = vessel.radii >= 0.9
        if seen.any():
            mask |= tube(SHAPE, vessel.path[seen], vessel.radii[seen])
    return mask


def _paint_vessels(colour: Field, vessels: list[_Vessel]) -> None:
    """Thin vessels are fainter; veins darker than arteries; fainter where they cross the disc."""
    for vessel in sorted(vessels, key=lambda v: float(v.radii[0])):
        mask = tube(SHAPE, vessel.path, np.maximum(vessel.radii, 0.8))
        strength = min(1.0, 0.35 + 0.3 * float(vessel.radii[0]))
        tint = np.array([0.60, 0.15, 0.09] if vessel.artery else [0.44, 0.08, 0.07])
        colour[mask] += strength * (tint - colour[mask])


def _exudates(where: Field, macula: Field, rng: np.random.Generator) -> Mask:
    """A handful of bright spots scattered around the macula: one structure, many components."""
    mask = np.zeros(SHAPE, dtype=np.bool_)
    for _ in range(9):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(16, 46)
        at = macula + distance * np.array([np.sin(angle), np.cos(angle)])
        radii = rng.uniform(2.2, 5.0, 2)
        wobble = 0.18 * smooth_noise(SHAPE, (2, 2), rng)
        mask |= ellipsoid(where, at, radii, wobble=wobble, turn_deg=rng.uniform(0, 180)) <= 1.0
    return mask


def _coloured(parts: dict[str, Mask]) -> NDArray[np.uint8]:
    mask = np.zeros((*SHAPE, 3), dtype=np.uint8)
    for name, part in parts.items():
        mask[part] = COLOURS[name]
    return mask
