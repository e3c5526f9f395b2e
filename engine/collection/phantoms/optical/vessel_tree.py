"""The vessel tree of a retina: arcades that leave the optic disc, branch and thin out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask, walk
from engine.collection.phantoms.optical.pictures import View, blend, strokes

_NARROWEST_PX = 0.9  # radius of the thinnest vessel an annotator follows


@dataclass(frozen=True, eq=False)
class Vessel:
    """`path`: float64[n, 2], (y, x) from the disc; `radii`: float64[n]."""

    path: Field
    radii: Field
    artery: bool


def vessel_tree(rng: np.random.Generator) -> list[Vessel]:
    """Arcades from the disc, up and down, around the macula and to the near side."""
    vessels: list[Vessel] = []
    width, winding = rng.uniform(0.8, 1.35), rng.uniform(1.5, 4.0)
    for up in (-1, 1):
        for artery in (True, False):
            for side, bend, length in ((1, 58.0, 250.0), (-1, -22.0, 130.0)):
                straight = 0.0 if side > 0 else 180.0
                turn = up * side
                heading = straight + turn * (66 + (7 if artery else -7) + rng.normal(0, 9))
                radius = width * (1.8 if artery else 2.4) * (1.0 if side > 0 else 0.75)
                curve = -turn * (bend + rng.normal(0, 10))
                start = rng.normal(0.0, 2.5, 2)
                _grow(vessels, start, heading, length, radius, curve, artery, winding, 2, rng)
    return vessels


def _grow(
    vessels: list[Vessel],
    start: Field,
    heading_deg: float,
    length: float,
    radius: float,
    bend_deg: float,
    artery: bool,
    winding: float,
    depth: int,
    rng: np.random.Generator,
) -> None:
    """One vessel that thins out, and its branches."""
    path = walk(start, heading_deg, length, rng, bend_deg=bend_deg, wander_deg=winding)
    radii = np.linspace(radius, 0.6 * radius, len(path))
    vessels.append(Vessel(path, radii, artery))
    if depth == 0:
        return
    for share in rng.uniform(0.2, 0.85, depth + int(rng.integers(0, 2))):
        at = max(1, int(share * len(path)))
        step = path[at] - path[at - 1]
        aside = float(rng.choice([-1.0, 1.0]) * rng.uniform(25, 60))
        heading = float(np.rad2deg(np.arctan2(step[0], step[1]))) + aside
        thin = max(0.6, 0.62 * float(radii[at]))
        _grow(
            vessels, path[at], heading, 0.42 * length, thin, -aside, artery, winding, depth - 1, rng
        )


def paint_vessels(colour: Field, vessels: list[Vessel], ground: Field, view: View) -> Mask:
    """Veins are darker, thin vessels fainter; returns what an annotator would follow."""
    shape = view.shape
    for artery, tint in ((False, (0.50, 0.34, 0.42)), (True, (0.68, 0.50, 0.55))):
        lines = [
            (view.pixels(vessel.path), view.scale * vessel.radii)
            for vessel in vessels
            if vessel.artery is artery
        ]
        wide = [line for line in lines if line[1][0] >= _NARROWEST_PX]
        thin = [line for line in lines if line[1][0] < _NARROWEST_PX]
        blend(colour, 0.45 * strokes(shape, thin), ground * tint)
        blend(colour, 0.8 * strokes(shape, wide), ground * tint)
        bright = [(path, radii * 0.3) for path, radii in wide if radii[0] > 2.2]
        blend(colour, 0.3 * strokes(shape, bright), ground * 1.1)
    followed = []
    for vessel in vessels:
        radii = view.scale * vessel.radii
        known = radii >= _NARROWEST_PX
        if known.sum() > 1:
            followed.append((view.pixels(vessel.path[known]), radii[known]))
    return np.asarray(strokes(shape, followed) >= 0.5)
