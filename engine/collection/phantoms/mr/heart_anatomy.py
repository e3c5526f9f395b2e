"""A beating heart in a chest, cut along any plane.

Two frames of reference, both in mm. The chest: z up, y back, x to the patient's left. The heart:
w along the left ventricle from its base (0) to its apex, u towards the right ventricle, v towards
the diaphragm. Short-axis pictures are planes of equal w, axial ones planes of equal z.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, Vector, ellipsoid
from engine.collection.phantoms.mr.physics import Codes


class Kind(IntEnum):
    """Number of a tissue in a map of a chest."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    BONE = 3
    MARROW = 4
    LUNG = 5
    BLOOD = 6
    HEART = 7
    SCAR = 8
    LIVER = 9
    SPLEEN = 10
    FLUID = 11
    CORD = 12


@dataclass(frozen=True, eq=False)
class Body:
    """A person: everything that both views and all time points share, mm and radians.

    Attributes:
        axes: float64[3, 3], rows w, v, u in the coordinates (z, y, x) of the chest.
        base: middle of the left ventricle's base in the chest.
        cavity, length, wall: short radius and length of the left ventricle's cavity, thickness.
        squash: height over width of the left ventricle.
        right: size of the right ventricle, 1 is usual; `atria` likewise.
        strength: share of its radius a cavity loses from rest to full contraction.
        build: (depth, width) of the chest; `fat` under the skin.
        papillary: angles of the two papillary muscles.
        scar: (middle, half width, share of the wall), all 0 without one.
    """

    axes: NDArray[np.float64]
    base: Field
    cavity: float
    length: float
    wall: float
    squash: float
    right: float
    atria: float
    strength: float
    build: tuple[float, float]
    fat: float
    papillary: tuple[float, float]
    scar: tuple[float, float, float]


def body(rng: np.random.Generator) -> Body:
    """Draw a person: usual, dilated, thick-walled or scarred hearts in slim and stout chests."""
    kind = str(rng.choice(["usual", "dilated", "thick", "scarred"], p=[0.35, 0.2, 0.2, 0.25]))
    cavity = float(rng.uniform(27, 34) if kind == "dilated" else rng.uniform(19, 26))
    wall = float(rng.uniform(12, 17) if kind == "thick" else rng.uniform(6.5, 10.5))
    scar = (0.0, 0.0, 0.0)
    if kind in ("scarred", "dilated"):
        scar = (
            float(rng.uniform(0, 2 * np.pi)),
            float(rng.uniform(0.35, 0.95)),
            float(rng.uniform(0.5, 1.0)),
        )
    return Body(
        axes=_axes(rng),
        base=np.array([10.0, -2.0, 20.0]) + rng.normal(0, 5, 3),
        cavity=cavity,
        length=float(rng.uniform(66, 82)) * (cavity / 24) ** 0.4,
        wall=wall,
        squash=float(rng.uniform(0.88, 1.12)),
        right=float(np.exp(rng.normal(0, 0.13))),
        atria=float(np.exp(rng.normal(0.02, 0.15))),
        strength=float(rng.uniform(0.12, 0.25) if kind == "dilated" else rng.uniform(0.25, 0.42)),
        build=(float(rng.uniform(98, 130)), float(rng.uniform(140, 178))),
        fat=float(rng.uniform(5, 30)),
        papillary=(float(rng.uniform(0.5, 1.2)), float(rng.uniform(2.2, 3.0))),
        scar=scar,
    )


def _axes(rng: np.random.Generator) -> NDArray[np.float64]:
    """Directions of w, v and u: some hearts lie flat on the diaphragm, others hang."""
    w = np.array([-0.42, -0.62, 0.66]) + rng.normal(0, 0.11, 3)
    u = np.array([0.10, -0.66, -0.74]) + rng.normal(0, 0.10, 3)
    w /= np.linalg.norm(w)
    u -= (u @ w) * w
    u /= np.linalg.norm(u)
    v = np.cross(w, u)
    return np.stack([w, -np.sign(v[0]) * v, u])


def in_heart(person: Body, where: Field) -> Field:
    """float64[(w, v, u), z, y, x] of chest coordinates."""
    offset = where - person.base[:, None, None, None]
    return np.asarray(np.einsum("ij,j...->i...", person.axes, offset), dtype=np.float64)


def in_chest(person: Body, heart: Field) -> Field:
    """float64[(z, y, x), ...] of heart coordinates."""
    turned = np.einsum("ji,j...->i...", person.axes, heart)
    return np.asarray(turned + person.base[:, None, None, None], dtype=np.float64)


def paint_chest(person: Body, where: Field, bumps: Field, fine: Field) -> Codes:
    """uint8[z, y, x]: wall, lungs, spine, liver, spleen; the heart comes on top of it.

    Args:
        bumps, fine: smooth noise of a scale of about 15 and 4 mm.
    """
    depth, width = person.build
    skin = ellipsoid(where, (0, 0, 0), (900, depth, width), power=2.5, wobble=0.008 * bumps)
    inner = 1 - (person.fat + 16) / depth
    codes = np.zeros(where.shape[1:], dtype=np.uint8)
    codes[skin <= 1.0] = Kind.FAT
    codes[skin + 0.012 * bumps <= 1 - person.fat / depth] = Kind.MUSCLE
    _ribs(codes, where, skin, inner)
    lungs = (skin + 0.01 * bumps <= inner) & (where[0] > -130)
    codes[lungs] = Kind.LUNG
    codes[lungs & (fine > 2.0)] = Kind.BLOOD  # their vessels
    between = lungs & (np.abs(where[2] + 4 * bumps) < 14 + 0.06 * np.abs(where[1]))
    codes[between] = Kind.FAT
    codes[between & (bumps + 0.5 * fine > 0.5)] = Kind.MUSCLE  # glands, gullet, airway walls
    _belly(codes, where, lungs, bumps)
    _spine(codes, where, depth, fine)
    return codes


def _ribs(codes: Codes, where: Field, skin: Field, inner: float) -> None:
    """Pieces of ribs between the muscles, and the sternum."""
    angle = np.arctan2(where[1], where[2])
    cut = np.cos(9 * angle + where[0] / 9)
    for width, kind in ((0.026, Kind.BONE), (0.014, Kind.MARROW)):
        codes[(np.abs(skin - inner - 0.04) < width) & (cut > 0.35 + 4 * (0.026 - width))] = kind
        breast = (np.abs(skin - inner - 0.05) < 1.5 * width) & (where[1] < 0)
        codes[breast & (np.abs(where[2]) < 18 - 2 * (kind == Kind.MARROW))] = kind


def _belly(codes: Codes, where: Field, lungs: Mask, bumps: Field) -> None:
    """Liver and spleen under the domes of the diaphragm."""
    wobble = 0.03 * bumps
    domes = (
        (Kind.LIVER, (-118, -8, -50), (88, 96, 104)),
        (Kind.SPLEEN, (-125, 45, 82), (75, 45, 52)),
        (Kind.FLUID, (-128, -25, 62), (76, 42, 44)),
    )
    for kind, centre, radii in domes:
        field = ellipsoid(where, centre, radii, wobble=wobble)
        codes[lungs & (field <= 1.04)] = Kind.MUSCLE
        codes[lungs & (field <= 1.0)] = kind


def _spine(codes: Codes, where: Field, depth: float, fine: Field) -> None:
    """A vertebra, the canal with its cord, arches and the muscles of the back."""
    y = 0.60 * depth
    for side in (-1, 1):
        back = ellipsoid(where, (0, y + 24, side * 30), (900, 17, 26), power=2.5)
        codes[back <= 1.0] = Kind.MUSCLE
    body_field = ellipsoid(where, (0, y, 0), (900, 16, 19), power=2.3, wobble=0.03 * fine)
    arch = ellipsoid(where, (0, y + 25, 0), (900, 15, 17), wobble=0.2 * fine)
    for limit, kind in ((1.0, Kind.BONE), (0.88, Kind.MARROW)):
        codes[np.minimum(body_field, arch) <= limit] = kind
    codes[ellipsoid(where, (0, y + 23, 0), (900, 8, 10)) <= 1.0] = Kind.FLUID
    codes[ellipsoid(where, (0, y + 23, 0), (900, 4, 6)) <= 1.0] = Kind.CORD


def heart_masks(
    person: Body, where: Field, heart: Field, beat: float, wobble: Field
) -> dict[str, Mask]:
    """Chambers, wall, scar and great vessels, disjoint, at a moment of the beat.

    Args:
        where, heart: the same voxels in both frames of reference.
        beat: 0 at rest (end diastole) to 1 (end systole).
        wobble: smooth noise of a few per cent, equal at all moments.
    """
    shrink = 1 - person.strength * beat
    cavity, outer = _left(person, heart, shrink, wobble)
    base = heart[0] > 11 * beat * person.strength / 0.35
    masks = {"left_ventricle": (cavity <= 1.0) & base}
    wall = (outer <= 1.0) & (cavity > 1.0) & base
    masks["scar"] = wall & _scar(person, heart, cavity)
    masks["myocardium"] = wall & ~masks["scar"]
    pump = 1 - 0.8 * person.strength * beat
    right = person.right * pump
    crescent = ellipsoid(
        heart,
        (-2, 4, person.cavity + 4 * person.right),
        (0.86 * person.length, 37 * right**0.7, 33 * right),
        wobble=wobble,
    )
    taken = (outer <= 1.03) & base
    masks["right_ventricle"] = (crescent <= 1.0) & base & ~taken
    masks |= _vessels(person, where, wobble)
    masks |= _atria(person, heart, beat, base, wobble)
    masks["left_atrium"] &= where[1] < _aorta_y(person) - 13  # flattened by aorta and spine
    return _disjoint(masks)


def _left(person: Body, heart: Field, shrink: float, wobble: Field) -> tuple[Field, Field]:
    """Fields of the left ventricle's cavity and of its outer surface; the wall keeps its mass."""
    inner = person.cavity * shrink
    thick = person.wall * (1 + 1.25 * (1 - shrink))
    length = person.length * (0.55 + 0.45 * shrink)
    centre = (2.0, 0.0, 0.0)
    fields = [
        ellipsoid(
            heart,
            centre,
            (long, short * person.squash, short / person.squash),
            wobble=share * wobble,
        )
        for long, short, share in ((length, inner, 1.0), (length + thick, inner + thick, 0.6))
    ]
    return fields[0], fields[1]


def _scar(person: Body, heart: Field, cavity: Field) -> Mask:
    """A sector of the wall, from the inside outwards."""
    middle, half, share = person.scar
    if not share:
        return np.zeros(cavity.shape, dtype=np.bool_)
    angle = np.angle(np.exp(1j * (np.arctan2(heart[1], heart[2]) - middle)))
    reach = 1 + share * person.wall / person.cavity * (1.1 - (angle / half) ** 2)
    return np.asarray((np.abs(angle) < half) & (cavity <= reach))


def _atria(person: Body, heart: Field, beat: float, base: Mask, wobble: Field) -> dict[str, Mask]:
    """They fill while the ventricles contract."""
    size = person.atria * (1 + 0.12 * beat)
    left = ellipsoid(heart, (-20, 2, -4), np.array([24, 25, 31]) * size, wobble=wobble)
    right = ellipsoid(heart, (-20, 8, 46), np.array([26, 28, 24]) * size, wobble=wobble)
    wall = np.abs(left - right) < 0.06
    return {
        "left_atrium": (left <= 1.0) & (left < right) & ~base & ~wall,
        "right_atrium": (right <= 1.0) & (right <= left) & ~base & ~wall,
    }


def _vessels(person: Body, where: Field, wobble: Field) -> dict[str, Mask]:
    """Great vessels, nearly upright tubes, their radii mm."""
    z, y, x = person.base
    wide = person.atria**0.5
    tubes: dict[str, tuple[Vector, Vector, Mask]] = {
        "ascending_aorta": ((0, y - 20, x - 27), (900, 15 * wide, 15 * wide), where[0] > z + 2),
        "pulmonary_artery": ((0, y - 36, x - 2), (900, 13 * wide, 15), where[0] > z + 16),
        "descending_aorta": (
            (0, _aorta_y(person), 23),
            (900, 11 * wide, 11 * wide),
            where[0] > -900,
        ),
        "vena_cava": ((0, y + 14, x - 50), (900, 10, 12), where[0] > z + 18),
    }
    return {
        name: (ellipsoid(where, centre, radii, wobble=wobble) <= 1.0) & part
        for name, (centre, radii, part) in tubes.items()
    }


def _aorta_y(person: Body) -> float:
    """Where the descending aorta runs in front of the spine, mm."""
    return 0.60 * person.build[0] - 22


def _disjoint(masks: dict[str, Mask]) -> dict[str, Mask]:
    """The first of several that claim a voxel keeps it."""
    free = np.ones_like(next(iter(masks.values())))
    out: dict[str, Mask] = {}
    for name, mask in masks.items():
        out[name] = mask & free
        free &= ~mask
    return out
