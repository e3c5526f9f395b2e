"""A generated head without disease: scalp, skull, brain, ventricles, brainstem, eyes.

Everything is drawn in the coordinates of a typical head (mm: z up, y back, x to the patient's
left; ventricles near z = 8); a person is a distortion of them (`Frame`), a level a choice of z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from engine.collection.phantoms.anatomy import Field, Mask, Vector, ellipsoid, grid, smooth_noise
from engine.collection.phantoms.mr.brain_tissue import Kind
from engine.collection.phantoms.mr.physics import Codes

_SIDES = (("left", 1), ("right", -1))


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the slices of a person lie.

    Attributes:
        where: float64[(z, y, x), z, y, x], every voxel in the typical head, mm.
        spacing_mm: (z, y, x).
    """

    where: Field
    spacing_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        z, y, x = self.where.shape[1:]
        return z, y, x

    def noise(self, scale_mm: float, rng: np.random.Generator) -> Field:
        """Smooth noise [z, y, x] of a scale in mm, partly shared by neighbouring slices."""
        across = scale_mm / self.spacing_mm[0]
        return smooth_noise(
            self.shape, (across, *(scale_mm / step for step in self.spacing_mm[1:])), rng
        )


@dataclass(frozen=True, eq=False)
class Skull:
    """Tissue numbers uint8[z, y, x] and the field whose value 1 is the skin's surface."""

    codes: Codes
    field: Field
    inner: float


def frame(rng: np.random.Generator) -> Frame:
    """A position of the slices and a person's build: size, tilt, asymmetry, deformation."""
    n = int(rng.choice([1, 2], p=[0.25, 0.75]))
    shape = (n, int(rng.integers(260, 337)), int(rng.integers(256, 305)))
    gap = float(rng.uniform(6.5, 14.0))
    size = rng.uniform(0.88, 1.10, 3)
    fill = rng.uniform(1.05, 1.35) if rng.random() < 0.15 else rng.uniform(0.80, 1.02)
    step = round(float(195 * size[1] / (fill * shape[1])), 4)
    spacing = (round(gap, 3), step, step)
    where = grid(shape, spacing)
    where[1:] -= np.reshape(rng.normal(0, 6, 2), (2, 1, 1, 1))
    _turn(where, float(rng.normal(0, 9)))
    where[0] += _level(rng) + rng.normal(0, 0.12) * where[1] + rng.normal(0, 0.06) * where[2]
    where[2] += rng.normal(0, 0.03) * where[1]
    where /= np.reshape(size, (3, 1, 1, 1))
    for axis, amount in ((1, 2.5), (2, 2.0)):
        where[axis] += amount * smooth_noise(shape, (1.0, 45 / step, 45 / step), rng)
    return Frame(where, spacing)


def _turn(where: Field, angle_deg: float) -> None:
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    where[1], where[2] = cos * where[1] - sin * where[2], sin * where[1] + cos * where[2]


def _level(rng: np.random.Generator) -> float:
    """Height of the middle of the slices: base of the skull, ventricles, or above them."""
    low, high = ((-50, -20), (-14, 24), (24, 50))[int(rng.choice(3, p=[0.3, 0.47, 0.23]))]
    return float(rng.uniform(low, high))


def skull(frame: Frame, rng: np.random.Generator) -> Skull:
    """Scalp, bone with marrow and, inside, fluid; the base of the skull is a mix of everything."""
    where = frame.where.copy()
    where[2] /= 1.0 + rng.uniform(-0.02, 0.12) * where[1] / 90  # the back of a head is wider
    head = ellipsoid(
        where,
        (-5, 0, 0),
        (112, 96, 77),
        power=float(rng.uniform(2.0, 2.4)),
        wobble=0.008 * frame.noise(16, rng),
    )
    nose = ellipsoid(where, (-52, -92, 0), (20, 19, 13))
    codes = np.zeros(frame.shape, dtype=np.uint8)
    codes[(head <= 1.0) | (nose <= 1.0)] = Kind.SKIN
    scalp, bone = float(rng.uniform(0.045, 0.10)), float(rng.uniform(0.055, 0.10))
    uneven = 0.012 * frame.noise(14, rng)
    codes[head <= 0.982] = Kind.FAT
    temporal = (np.abs(where[2]) > 40) & (where[0] < 22) & (np.abs(where[1] + 12) < 45)
    codes[temporal & (head <= 0.965)] = Kind.MUSCLE
    codes[head + uneven <= 1 - scalp] = Kind.BONE
    marrow = np.abs(head + uneven - (1 - scalp - 0.5 * bone)) <= rng.uniform(0.004, 0.018)
    codes[marrow] = Kind.MARROW
    inner = 1 - scalp - bone
    codes[head <= inner] = Kind.CSF
    _base(codes, frame, head <= inner, rng)
    return Skull(codes, head, inner)


def _base(codes: Codes, frame: Frame, inside: Mask, rng: np.random.Generator) -> None:
    """Below the brain: bone, muscle and fat in patches, air in the sinuses and mastoids."""
    where = frame.where
    mix = frame.noise(7, rng)
    low = inside & (where[0] < -20 + 0.04 * where[1])
    codes[low] = Kind.MUSCLE
    codes[low & (mix > 0.2)] = Kind.BONE
    codes[low & (mix < -0.9)] = Kind.FAT
    sinuses = ellipsoid(where, (-48, -52, 0), (26, 30, 12), wobble=0.2 * mix) <= 1.0
    for _, side in _SIDES:
        mastoid = ellipsoid(where, (-45, 16, side * 56), (16, 14, 9), wobble=0.35 * mix)
        sinuses |= mastoid <= 1.0
    codes[sinuses & low] = Kind.AIR
    walls = frame.noise(3, rng)
    codes[sinuses & low & (np.abs(walls) < 0.3)] = Kind.SKIN


def brain_parts(frame: Frame, head: Skull, rng: np.random.Generator) -> dict[str, Mask]:
    """Cerebrum, cerebellum and brainstem, disjoint, as far as the slices cut them."""
    where = frame.where
    bumps = frame.noise(9, rng)
    gap = float(rng.uniform(0.015, 0.06))
    inside = head.field + 0.008 * bumps <= head.inner - gap
    floor = -19 + 2.5 * bumps + 0.04 * where[1]
    cerebrum = inside & (where[0] > floor)
    for _, side in _SIDES:
        lobe = ellipsoid(where, (-26, -10, side * 43), (25, 36, 23), wobble=0.06 * bumps)
        cerebrum |= inside & (lobe <= 1.0)
    wobble = 0.03 * bumps
    radii = np.array([28.0, 32.0, 50.0]) * rng.uniform(0.88, 1.1, 3)
    cerebellum = ellipsoid(where, (-41, 46, 0), radii, power=2.3, wobble=wobble) <= 1.0
    notch = ellipsoid(where, (-44, 80, 0), (40, 18, 5)) <= 1.0
    stem = ellipsoid(
        where,
        (-44, 12, 0),
        (34, float(rng.uniform(11, 15)), float(rng.uniform(13, 18))),
        power=2.4,
        wobble=wobble,
    )
    brainstem = (stem <= 1.0) & (where[0] < -14)
    return {
        "cerebrum": cerebrum & ~brainstem,
        "cerebellum": cerebellum & inside & ~notch & ~cerebrum & ~brainstem,
        "brainstem": brainstem & inside,
    }


def paint_brain(
    codes: Codes, frame: Frame, parts: dict[str, Mask], rng: np.random.Generator
) -> Field:
    """White matter under a folded grey ribbon, in a bath of fluid; depth in mm [z, y, x]."""
    brain = parts["cerebrum"] | parts["cerebellum"] | parts["brainstem"]
    depth, bath = _depth(brain, frame), _depth(~brain, frame)
    codes[(bath > 0) & (bath <= rng.uniform(2, 5)) & (codes != Kind.AIR)] = Kind.CSF
    folds = np.abs(frame.noise(float(rng.uniform(3.2, 4.8)), rng))
    wide = float(rng.uniform(0.05, 0.24))  # of the furrows: a young or a shrunken brain
    cerebrum = parts["cerebrum"]
    codes[brain] = Kind.WHITE
    grey = (depth <= 3.0) | ((folds < 0.36 + 1.2 * wide) & (depth <= 17))
    codes[cerebrum & grey] = Kind.GREY
    codes[cerebrum & (folds < wide) & (depth <= 13)] = Kind.CSF
    _midline(codes, frame, cerebrum, wide, 0.2 * frame.noise(5, rng))
    _folia(codes, depth, parts["cerebellum"], rng)
    return depth


def _depth(mask: Mask, frame: Frame) -> Field:
    """Distance to the outside within the slice, mm, 0 outside."""
    step = frame.spacing_mm[1:]
    return np.stack([distance_transform_edt(part, sampling=step) for part in mask])


def _midline(codes: Codes, frame: Frame, cerebrum: Mask, wide: float, wobble: Field) -> None:
    """The fissures between the hemispheres and of both sides, lined with grey matter."""
    z, y, x = frame.where
    ends = np.where(z > 30, 0.0, 38.0)  # the corpus callosum bridges the middle below
    for half_mm, kind in ((3.2, Kind.GREY), (0.5 + 5 * wide, Kind.CSF)):
        codes[
            cerebrum & (np.abs(x + 3 * wobble) < half_mm) & (np.abs(y + 4) > ends) & (z > -16)
        ] = kind
        for _, side in _SIDES:
            sylvius = ellipsoid(
                frame.where, (-2, -6, side * 43), (18, 20 + half_mm, half_mm), turn_deg=side * 14
            )
            mouth = ellipsoid(frame.where, (-2, -9, side * 55), (16, half_mm, 14))
            codes[cerebrum & (np.minimum(sylvius, mouth) + wobble <= 1.0)] = kind


def _folia(codes: Codes, depth: Field, cerebellum: Mask, rng: np.random.Generator) -> None:
    """Leaves of grey matter along the surface, a white core."""
    period = float(rng.uniform(3.5, 6.0))
    leaves = np.cos(2 * np.pi * depth / period)
    codes[cerebellum & (depth < 13) & (leaves > -0.35)] = Kind.GREY
    codes[cerebellum & (depth < 10) & (leaves > 0.93)] = Kind.CSF


def ventricles(where: Field, wobble: Field, rng: np.random.Generator) -> dict[str, Mask]:
    """Lateral ventricles of both sides, third and fourth; `wobble` float64[z, y, x]."""
    swell = float(np.exp(rng.normal(0.1, 0.3)))
    parts: dict[str, Mask] = {}
    for name, side in _SIDES:
        own = swell * float(rng.uniform(0.85, 1.2))
        horns = (
            ((8, -24, side * 10), (14, 16, 5.5 * own), side * 18.0),
            ((20, 4, side * 12), (7 + 3 * own, 33, 7 * own), side * -4.0),
            ((4, 36, side * 24), (12, 19, 6.5 * own), side * -20.0),
            ((-24, 2, side * 33), (8, 15, 4 * own), side * 10.0),
        )
        fields = [ellipsoid(where, c, r, turn_deg=turn) for c, r, turn in horns]
        half = side * where[2] > 0.8
        parts[f"{name}_lateral_ventricle"] = (np.min(fields, axis=0) + wobble <= 1.0) & half
    third = ellipsoid(where, (-3, 4, 0), (12, 13, 2.6 * swell**1.3))
    fourth = ellipsoid(where, (-42, 30, 0), (13, 6 * swell**0.5, 8 * swell), power=1.7)
    parts["third_ventricle"] = (third + 0.4 * wobble <= 1.0) & ~_any(parts)
    parts["fourth_ventricle"] = fourth + 0.6 * wobble <= 1.0
    return parts


def paint_nuclei(codes: Codes, where: Field, white: Mask, wobble: Field) -> dict[str, Mask]:
    """Caudate and lentiform nuclei and thalami; the masks of the thalami."""
    thalami: dict[str, Mask] = {}
    for name, side in _SIDES:
        inner: tuple[tuple[Vector, Vector, float], ...] = (
            ((8, -18, side * 16), (14, 12, 6), side * 20),
            ((2, -2, side * 27), (13, 18, 7.5), side * 12),
        )
        for centre, radii, turn in inner:
            nucleus = ellipsoid(where, centre, radii, turn_deg=turn, wobble=wobble) <= 1.0
            codes[nucleus & white] = Kind.NUCLEUS
        thalamus = ellipsoid(where, (4, 15, side * 12), (13, 14, 9), turn_deg=-side * 25.0)
        mask = (thalamus + 0.7 * wobble <= 1.0) & (side * where[2] > 2.0) & white
        codes[mask] = Kind.NUCLEUS
        thalami[f"{name}_thalamus"] = mask
    return thalami


def paint_eyes(head: Skull, where: Field, rng: np.random.Generator) -> dict[str, Mask]:
    """Orbits full of fat with muscles and nerve, and the globes; masks of the globes."""
    codes = head.codes
    eyes: dict[str, Mask] = {}
    radius = float(rng.uniform(11.0, 13.5))
    for name, side in _SIDES:
        centre = np.array([-38.0, -74.0, side * 32.0]) + rng.normal(0, 0.8, 3)
        orbit = ellipsoid(
            where, centre + np.array((0, 9, -side * 3)), (20, 27, 18), turn_deg=-side * 22.0
        )
        tissue = (orbit <= 1.0) & (head.field <= 0.965)
        codes[tissue] = Kind.FAT
        for bend, offset in ((-side * 32.0, 11), (-side * 10.0, -9), (-side * 22.0, 0)):
            cord = ellipsoid(
                where, centre + np.array((0, 20, side * offset)), (5, 16, 2.2), turn_deg=bend
            )
            codes[tissue & (cord <= 1.0)] = Kind.MUSCLE
        globe = ellipsoid(where, centre, (radius, radius * 1.05, radius))
        codes[globe <= 1.08] = Kind.MUSCLE
        codes[globe <= 1.0] = Kind.VITREOUS
        lens = ellipsoid(where, centre - [0, 0.72 * radius, 0], (4.5, 2.2, 4.5)) <= 1.0
        codes[lens] = Kind.LENS
        eyes[f"{name}_eye"] = globe <= 1.0
    return eyes


def _any(parts: dict[str, Mask]) -> Mask:
    return np.asarray(np.logical_or.reduce(list(parts.values())), dtype=np.bool_)
