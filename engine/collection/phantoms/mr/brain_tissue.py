"""What a head is made of, and how a generated person's tissue differs from another's."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np

from engine.collection.phantoms.mr.physics import AIR, Tissue


class Kind(IntEnum):
    """Number of a tissue in a map of a head."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    CSF = 6
    WHITE = 7
    GREY = 8
    NUCLEUS = 9
    VESSEL = 10
    VITREOUS = 11
    LENS = 12
    CHOROID = 13
    OEDEMA = 14
    NECROSIS = 15
    ENHANCING = 16
    SOLID = 17
    STROKE = 18
    PLAQUE = 19
    DURA = 20


# Around 1.5 T; PD, T1 ms, T2 ms, ADC 1e-3 mm2/s, uptake 1/s, texture.
_TYPICAL = {
    Kind.AIR: AIR,
    Kind.SKIN: Tissue(0.60, 800, 40, 1.2, 0.3, 0.05),
    Kind.FAT: Tissue(0.90, 260, 80, 0.1, 0.0, 0.05),
    Kind.MUSCLE: Tissue(0.75, 950, 42, 1.3, 0.3, 0.06),
    Kind.BONE: Tissue(0.05, 500, 8, 0.3, 0.0, 0.20),
    Kind.MARROW: Tissue(0.55, 420, 60, 0.3, 0.1, 0.12),
    Kind.CSF: Tissue(1.00, 4000, 1400, 3.0, 0.0, 0.01),
    Kind.WHITE: Tissue(0.70, 620, 76, 0.75, 0.04, 0.025),
    Kind.GREY: Tissue(0.82, 1120, 96, 0.85, 0.10, 0.035),
    Kind.NUCLEUS: Tissue(0.80, 960, 84, 0.80, 0.08, 0.025),
    Kind.VESSEL: Tissue(0.16, 1400, 60, 2.0, 14.0, 0.05),
    Kind.VITREOUS: Tissue(1.00, 3600, 900, 2.7, 0.0, 0.01),
    Kind.LENS: Tissue(0.55, 900, 30, 0.8, 0.0, 0.02),
    Kind.CHOROID: Tissue(0.90, 1500, 160, 1.6, 4.0, 0.15),
    Kind.OEDEMA: Tissue(0.88, 1450, 150, 1.35, 0.03, 0.06),
    Kind.NECROSIS: Tissue(0.95, 2300, 280, 1.9, 0.05, 0.10),
    Kind.ENHANCING: Tissue(0.86, 1350, 125, 1.05, 3.2, 0.10),
    Kind.SOLID: Tissue(0.86, 1500, 145, 1.2, 0.10, 0.08),
    Kind.STROKE: Tissue(0.84, 1180, 112, 0.42, 0.05, 0.05),
    Kind.PLAQUE: Tissue(0.88, 1450, 150, 1.15, 0.6, 0.05),
    Kind.DURA: Tissue(0.50, 1000, 40, 0.9, 3.0, 0.05),
}


def persons_tissue(rng: np.random.Generator) -> tuple[Tissue, ...]:
    """One `Tissue` per `Kind`, in their order, as one person at one field strength has it."""
    field = float(rng.uniform(0.92, 1.25))  # T1 grows with the field
    own = [_stronger(_TYPICAL[kind].varied(rng), field) for kind in Kind]
    fat = float(rng.uniform(0.5, 1.0))  # no two sites suppress it alike
    for kind in (Kind.FAT, Kind.MARROW):
        own[kind] = replace(own[kind], pd=own[kind].pd * fat)
    return tuple(own)


def _stronger(tissue: Tissue, field: float) -> Tissue:
    return Tissue(
        tissue.pd,
        tissue.t1_ms * field,
        tissue.t2_ms / field**0.3,
        tissue.adc,
        tissue.uptake_per_s,
        tissue.texture,
    )
