"""Diseases of a generated brain: what they replace, how they push, how annotators name them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid
from engine.collection.phantoms.mr.brain_anatomy import Frame
from engine.collection.phantoms.mr.brain_tissue import Kind
from engine.collection.phantoms.mr.physics import Codes

_DISEASES = {
    "healthy": 0.10,
    "glioma": 0.38,
    "metastases": 0.10,
    "meningioma": 0.12,
    "stroke": 0.22,
    "sclerosis": 0.08,
}


@dataclass(frozen=True)
class Disease:
    """A kind of lesion, where it sits (mm, typical head) and how large it is."""

    kind: str
    centres: tuple[tuple[float, float, float], ...]
    radii_mm: tuple[float, ...]

    @property
    def pushes(self) -> bool:
        return self.kind in ("glioma", "meningioma")


def disease(frame: Frame, cerebrum: Mask, depth: Field, rng: np.random.Generator) -> Disease:
    """Choose a disease and a place in the slices for it."""
    kind = str(rng.choice(list(_DISEASES), p=list(_DISEASES.values())))
    low, high, n, radii = _habits(kind, rng)
    inside = np.flatnonzero(cerebrum & (depth >= low) & (depth <= high))
    if kind == "healthy" or inside.size == 0:
        return Disease("healthy", (), ())
    chosen = frame.where.reshape(3, -1)[:, rng.choice(inside, n)]
    z, y, x = chosen + rng.normal(0, 2.0, chosen.shape)
    centres = tuple(zip(z.tolist(), y.tolist(), x.tolist(), strict=True))
    return Disease(kind, centres, tuple(rng.uniform(*radii, n).tolist()))


def _habits(kind: str, rng: np.random.Generator) -> tuple[float, float, int, tuple[float, float]]:
    """(least depth, greatest depth in mm, number, range of radii in mm)."""
    lacune = rng.random() < 0.3
    several = int(rng.integers(1, 4))
    habits: dict[str, tuple[float, float, int, tuple[float, float]]] = {
        "healthy": (0, 99, 1, (0, 1)),
        "glioma": (9, 99, 1, (13, 28)),
        "metastases": (6, 99, several, (7, 14)),
        "meningioma": (0, 3, 1, (12, 24)),
        "stroke": (16, 99, 1, (7, 11)) if lacune else (2, 12, 1, (16, 36)),
        "sclerosis": (11, 99, several + 2, (5, 8.5)),
    }
    return habits[kind]


def pushed(where: Field, found: Disease) -> Field:
    """Coordinates inside the brain when a growing mass has moved what lies around it.

    What is seen at a place near the mass was nearer to its centre before it grew.
    """
    if not found.pushes:
        return where
    (centre,), (radius,) = found.centres, found.radii_mm
    offset = where - np.reshape(centre, (3, 1, 1, 1))
    distance = np.sqrt((offset**2).sum(axis=0)) + 1e-6
    shift = 0.38 * radius * np.exp(-(((distance - radius) / (1.6 * radius)) ** 2))
    return np.asarray(where - offset / distance * np.minimum(shift, 0.8 * distance))


def paint_disease(
    codes: Codes,
    frame: Frame,
    found: Disease,
    room: Mask,
    rng: np.random.Generator,
) -> dict[str, Mask]:
    """Paint the lesion where there is `room` (bool[z, y, x]); its masks, all disjoint."""
    if found.kind in ("glioma", "metastases"):
        return _tumour(codes, frame, found, room, rng)
    if found.kind == "meningioma":
        return _meningioma(codes, frame, found, room, rng)
    if found.kind == "stroke":
        return _stroke(codes, frame, found, room, rng)
    if found.kind == "sclerosis":
        return _plaques(codes, frame, found, room, rng)
    return {}


def _spots(frame: Frame, found: Disease, stretch: float, rng: np.random.Generator) -> Field:
    """Distance from the nearest centre in its radius."""
    fields = [
        ellipsoid(
            frame.where,
            centre,
            radius * np.exp(rng.normal(0, stretch, 3)),
            turn_deg=float(rng.uniform(0, 180)),
        )
        for centre, radius in zip(found.centres, found.radii_mm, strict=True)
    ]
    return np.asarray(np.min(fields, axis=0), dtype=np.float64)


def _tumour(
    codes: Codes, frame: Frame, found: Disease, room: Mask, rng: np.random.Generator
) -> dict[str, Mask]:
    """A core, solid or dead, in an enhancing rim, whole or broken; swelling around it."""
    field = _spots(frame, found, 0.18, rng)
    field += rng.uniform(0.04, 0.16) * frame.noise(float(rng.uniform(5, 10)), rng)
    inner = float(rng.uniform(0.5, 0.82)) + 0.06 * frame.noise(6, rng)
    broken = frame.noise(9, rng) > rng.uniform(0.6, 2.6)
    enhancing = found.kind == "metastases" or rng.random() < 0.85
    tumour = (field <= 1.0) & room
    rim = tumour & (field > inner) & ~broken & enhancing
    reach = float(rng.uniform(1.25, 2.2)) + 0.25 * frame.noise(8, rng)
    spared = (codes == Kind.GREY) & (field > 1.3)
    oedema = (field <= reach) & room & ~tumour & ~spared
    dead = frame.noise(5, rng) > rng.uniform(-2.0, 0.8)
    codes[oedema] = Kind.OEDEMA
    codes[tumour] = np.where(dead, Kind.NECROSIS, Kind.SOLID)[tumour]
    codes[rim] = Kind.ENHANCING
    return {"tumour_core": tumour & ~rim, "enhancing_rim": rim, "oedema": oedema}


def _meningioma(
    codes: Codes, frame: Frame, found: Disease, room: Mask, rng: np.random.Generator
) -> dict[str, Mask]:
    """A round mass on the dura that takes up contrast throughout."""
    field = _spots(frame, found, 0.12, rng)
    field += 0.05 * frame.noise(8, rng)
    mass = (field <= 1.0) & room
    swollen = field <= rng.uniform(1.0, 1.6) + 0.2 * frame.noise(8, rng)
    oedema = swollen & room & ~mass & (codes == Kind.WHITE)
    codes[oedema] = Kind.OEDEMA
    codes[mass] = Kind.ENHANCING
    return {"meningioma": mass, "oedema": oedema}


def _stroke(
    codes: Codes, frame: Frame, found: Disease, room: Mask, rng: np.random.Generator
) -> dict[str, Mask]:
    """Dying tissue of one artery's territory: of one side, grey matter before white."""
    field = _spots(frame, found, 0.25, rng)
    field += rng.uniform(0.06, 0.2) * frame.noise(float(rng.uniform(4, 9)), rng)
    field -= 0.12 * (codes == Kind.GREY)
    side = np.sign(found.centres[0][2]) * frame.where[2] + frame.noise(8, rng) > 1.5
    lesion = (field <= 1.0) & room & side
    codes[lesion & (codes != Kind.CSF)] = Kind.STROKE
    return {"stroke_lesion": lesion}


def _plaques(
    codes: Codes, frame: Frame, found: Disease, room: Mask, rng: np.random.Generator
) -> dict[str, Mask]:
    """Ovals in the white matter, several in one structure."""
    field = _spots(frame, found, 0.3, rng) + 0.08 * frame.noise(4, rng)
    plaques = (field <= 1.0) & room & (codes != Kind.CSF)
    codes[plaques] = Kind.PLAQUE
    return {"white_matter_lesions": plaques}
