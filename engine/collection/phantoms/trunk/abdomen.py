"""Body plans between neck and thigh: which organs lie where in a few neighbouring slices.

CT and MR share them. Each plan draws its labelled organs among unlabelled ones (bowel, ribs,
muscles, vessels); what is present, its size, place and shape differ from subject to subject.
"""

from __future__ import annotations

import numpy as np

from engine.collection.phantoms.anatomy import Field, ring, smooth_noise
from engine.collection.phantoms.trunk.canvas import Blob, Canvas, Tissue


def abdomen(rng: np.random.Generator) -> Canvas:
    """Draw one subject: an upper abdomen, the kidneys' level, a pelvis or a thorax."""
    canvas = Canvas(rng)
    plan = rng.choice(4, p=(0.4, 0.2, 0.22, 0.18))
    (_upper, _lower, _pelvis, _thorax)[plan](canvas)
    return canvas


def _upper(c: Canvas) -> None:
    rng = c.rng
    _ribs(c)
    _bowel(c, int(rng.integers(2, 9)), (-0.6, 0.3), (-0.2, 0.75))
    if rng.random() < 0.75:
        _stomach(c)
    _liver(c)
    if rng.random() < 0.85:
        _spleen(c)
    _retroperitoneum(c, kidneys=0.8, psoas=0.3)
    if rng.random() < 0.4:
        centre, radii = c.at(-0.2, -0.28, 0.07), (rng.uniform(9, 22), rng.uniform(8, 16))
        gallbladder = c.blob(centre, radii, turn_deg=rng.uniform(0, 90), ragged=0.04)
        c.fill(gallbladder, c.within(gallbladder), Tissue.URINE, "gallbladder")
    _tumours(c, ("liver", "liver", "liver", "kidney_left", "kidney_right", "spleen"), 0.55)


def _lower(c: Canvas) -> None:
    rng = c.rng
    _bowel(c, int(rng.integers(8, 20)), (-0.75, 0.15), (-0.6, 0.6))
    for side in (-1, 1):
        colon = c.blob(c.at(-0.05, side * 0.72), (rng.uniform(14, 26), rng.uniform(14, 24)))
        _hollow(c, colon, None)
    _retroperitoneum(c, kidneys=0.92, psoas=1.0)
    _tumours(c, ("kidney_left", "kidney_right"), 0.5)


def _pelvis(c: Canvas) -> None:
    rng = c.rng
    _bowel(c, int(rng.integers(3, 10)), (-0.8, -0.35), (-0.5, 0.5))
    for side, name in ((-1, "femur_right"), (1, "femur_left")):
        _muscle(c, c.at(0.55, side * 0.62), (32, 36), side * 30)
        _muscle(c, c.at(-0.45, side * 0.6), (22, 24), 0)
        _hip(c, side, name)
    sacrum = c.blob(c.at(0.8, 0), (rng.uniform(10, 22), rng.uniform(18, 42)), ragged=0.09)
    _bone(c, sacrum, None)
    rectum = c.blob(c.at(0.5, 0, 0.05), (rng.uniform(12, 22), rng.uniform(12, 24)), ragged=0.08)
    _hollow(c, rectum, "rectum")
    size = rng.uniform(22, 52)
    radii = size * rng.uniform(0.55, 1.0), size
    bladder = c.blob(c.at(-0.28, 0, 0.07), radii, ragged=0.07, power=rng.uniform(1.8, 2.6))
    c.fill(bladder, c.within(bladder), Tissue.MUSCLE)
    c.fill(bladder, c.within(bladder) & (bladder.field < 0.92), Tissue.URINE, "bladder")
    if rng.random() < 0.75:
        gland = c.blob(c.at(0.16, 0, 0.04), (rng.uniform(13, 22), rng.uniform(17, 28)))
        c.fill(gland, c.within(gland), Tissue.GLAND, "prostate")
    _tumours(c, ("bladder", "prostate", "rectum"), 0.5)


def _thorax(c: Canvas) -> None:
    rng = c.rng
    _ribs(c)
    for side, name in ((-1, "lung_right"), (1, "lung_left")):
        _lung(c, side, name)
    middle = c.blob(c.at(0.1, 0.0, 0.04), (62, rng.uniform(24, 36)), ragged=0.1)
    c.fill(middle, c.within(middle), Tissue.MESENTERY)
    if rng.random() < 0.8:
        centre, radii = c.at(-0.2, 0.16, 0.07), (rng.uniform(32, 52), rng.uniform(38, 62))
        heart = c.blob(centre, radii, turn_deg=rng.uniform(10, 50), ragged=0.06)
        c.fill(heart, c.within(heart), Tissue.MUSCLE, "heart")
        for dx in (-0.4, 0.35):
            place = centre[0] + rng.normal(0, 5), centre[1] + dx * radii[1] + rng.normal(0, 3)
            chamber = c.blob(place, (0.5 * radii[0], 0.33 * radii[1]), ragged=0.09)
            tissue = Tissue.ARTERY if dx > 0 else Tissue.VEIN
            c.dye(chamber, c.within(chamber) & (c.tissue[chamber.window] == Tissue.MUSCLE), tissue)
    else:
        for x in (-0.12, 0.08):
            vessel = c.blob(c.at(-0.15, x), (rng.uniform(11, 17),) * 2, ragged=0.04)
            c.fill(vessel, c.within(vessel), Tissue.ARTERY)
    airway = c.blob(c.at(0.18, 0, 0.02), (7, 9), ragged=0.03)
    c.fill(airway, airway.inside, Tissue.GAS)
    _spine(c)
    _aorta(c, c.at(0.42, 0.13, 0.02))
    _tumours(c, ("lung_left", "lung_right"), 0.6)


def _liver(c: Canvas) -> None:
    """Two or three lobes melted into one outline, cut by the wall; vessels inside."""
    rng = c.rng
    ry, rx = c.radii_mm
    right = c.blob(
        c.at(-0.05, -0.5, 0.07),
        (ry * rng.uniform(0.5, 0.8), rx * rng.uniform(0.3, 0.48)),
        turn_deg=rng.uniform(-20, 25),
        ragged=rng.uniform(0.04, 0.09),
        reach_mm=60,
    )
    c.fill(right, c.within(right, 0.95), Tissue.LIVER, "liver")
    if rng.random() < 0.8:
        left = c.blob(
            c.at(-0.42, -0.12, 0.08),
            (ry * rng.uniform(0.22, 0.36), rx * rng.uniform(0.3, 0.5)),
            turn_deg=rng.uniform(-25, 15),
            ragged=0.08,
        )
        c.fill(left, c.within(left, 0.95), Tissue.LIVER, "liver")
    grain = rng.uniform(6, 12) / c.spacing_mm[1]
    branches = np.abs(smooth_noise(right.field.shape, (1.0, grain, grain), rng))
    inside = c.tissue[right.window] == Tissue.LIVER
    c.dye(right, inside & (branches < rng.uniform(0.03, 0.09)), Tissue.VEIN)


def _spleen(c: Canvas) -> None:
    """A crescent along the wall."""
    rng = c.rng
    centre = c.at(0.2, 0.7, 0.06)
    turn = rng.uniform(-45, 15)
    radii = rng.uniform(28, 52), rng.uniform(16, 30)
    spleen = c.blob(centre, radii, turn_deg=turn, ragged=0.08, reach_mm=45)
    away = (centre[0] - 6, centre[1] - radii[1] * rng.uniform(1.0, 1.5))
    hollow = c.blob(away, (radii[0] * 0.6, radii[1]), turn_deg=turn)
    c.fill(spleen, c.within(spleen, 0.95), Tissue.SPLEEN, "spleen")
    taken = hollow.inside & (c.tissue[hollow.window] == Tissue.SPLEEN)
    c.fill(hollow, taken, Tissue.MESENTERY)


def _retroperitoneum(c: Canvas, *, kidneys: float, psoas: float) -> None:
    """What lies at the back: muscles, kidneys, great vessels and the spine."""
    rng = c.rng
    labelled = rng.random() < psoas
    for side, name in ((-1, "right"), (1, "left")):
        _muscle(c, c.at(0.84, side * 0.3), (16, 24), side * 15)
        muscle = c.blob(c.at(0.5, side * 0.24, 0.03), (rng.uniform(10, 21), rng.uniform(9, 18)))
        c.fill(muscle, muscle.inside, Tissue.MUSCLE, f"psoas_{name}" if labelled else None)
        if rng.random() < kidneys:
            _kidney(c, side, f"kidney_{name}")
    cava = c.blob(c.at(0.3, -0.15, 0.04), (rng.uniform(6, 13), rng.uniform(9, 15)), ragged=0.06)
    c.fill(cava, cava.inside, Tissue.VEIN, "vena_cava" if rng.random() < 0.5 else None)
    _spine(c)
    _aorta(c, c.at(0.3, 0.08, 0.03))


def _kidney(c: Canvas, side: int, name: str) -> None:
    """A bean in its fat: cortex, medulla, and the hilum towards the spine."""
    rng = c.rng
    centre = c.at(0.38, side * 0.5, 0.06)
    radii = rng.uniform(20, 34), rng.uniform(15, 26)
    turn = side * rng.uniform(-10, 45)
    kidney = c.blob(centre, radii, turn_deg=turn, ragged=0.05, reach_mm=rng.uniform(20, 50))
    middle = (centre[0] - rng.uniform(0, 6), centre[1] - side * radii[1] * rng.uniform(0.7, 1.1))
    hilum = c.blob(middle, (0.3 * radii[0], 0.55 * radii[1]), turn_deg=turn, ragged=0.1)
    c.fill(kidney, ring(kidney.field, 1.0, rng.uniform(1.1, 1.35)), Tissue.FAT)
    c.fill(kidney, kidney.inside, Tissue.KIDNEY, name)
    spots = smooth_noise(kidney.field.shape, (0.8, 4, 4), rng) > -0.2
    c.dye(kidney, spots & (kidney.field < 0.72), Tissue.MEDULLA)
    c.fill(hilum, hilum.inside & (hilum.field < 1.0), Tissue.FAT)
    if rng.random() < 0.5:
        c.fill(hilum, hilum.field < 0.6, Tissue.URINE)


def _stomach(c: Canvas) -> None:
    rng = c.rng
    radii = rng.uniform(20, 42), rng.uniform(28, 52)
    place = c.at(-0.4, 0.35, 0.09)
    _hollow(c, c.blob(place, radii, turn_deg=rng.uniform(-50, 20), ragged=0.09), "stomach")


def _hollow(c: Canvas, blob: Blob, structure: str | None) -> None:
    """Wall, contents, and gas that rises to the front."""
    rng = c.rng
    inside = c.within(blob, 0.95)
    c.fill(blob, inside, Tissue.GUT_WALL, structure)
    lumen = inside & (blob.field < rng.uniform(0.72, 0.92))
    c.dye(blob, lumen, Tissue.FLUID if rng.random() < 0.4 else Tissue.GUT)
    if rng.random() < 0.5 and lumen.any():
        rows = np.flatnonzero(lumen.any(axis=(0, 2)))
        level = rows[0] + rng.uniform(0.1, 0.7) * len(rows)
        c.dye(blob, lumen & (np.arange(lumen.shape[1]) < level)[None, :, None], Tissue.GAS)


def _bowel(c: Canvas, n: int, ys: tuple[float, float], xs: tuple[float, float]) -> None:
    """Unlabelled loops."""
    rng = c.rng
    for _ in range(n):
        radii = rng.uniform(8, 18), rng.uniform(8, 22)
        turn = rng.uniform(0, 180)
        place = c.at(rng.uniform(*ys), rng.uniform(*xs), 0.0)
        _hollow(c, c.blob(place, radii, turn_deg=turn, ragged=0.08, reach_mm=20), None)


def _lung(c: Canvas, side: int, name: str) -> None:
    """A large dark wing with vessels that thin out towards its surface."""
    rng = c.rng
    ry, rx = c.radii_mm
    centre = c.at(0.05, side * 0.52, 0.04)
    radii = ry * rng.uniform(0.6, 0.85), rx * rng.uniform(0.3, 0.42)
    turn = side * rng.uniform(-15, 15)
    lung = c.blob(centre, radii, turn_deg=turn, ragged=0.05, power=2.3)
    inside = c.within(lung, 0.96)
    c.fill(lung, inside, Tissue.LUNG, name)
    grain: Field = smooth_noise(lung.field.shape, (0.6, 2.0, 2.0), rng)
    c.dye(lung, inside & (grain > 1.5 + 1.6 * lung.field), Tissue.VEIN)


def _ribs(c: Canvas) -> None:
    rng = c.rng
    ry, rx = c.radii_mm
    first = rng.uniform(0, 40)
    for degrees in np.arange(first, 360 + first, rng.uniform(30, 48)):
        angle = np.deg2rad(degrees + rng.normal(0, 4))
        place = 0.93 * ry * np.sin(angle), 0.94 * rx * np.cos(angle)
        tangent = np.rad2deg(np.arctan2(ry * np.cos(angle), -rx * np.sin(angle)))
        rib = c.blob(place, (rng.uniform(3.5, 5), rng.uniform(8, 15)), turn_deg=-tangent)
        _bone(c, rib, None)


def _spine(c: Canvas) -> None:
    """A body, an arch around the canal, and processes; or a disc instead of the bony body."""
    rng = c.rng
    size = rng.uniform(0.8, 1.2)
    y, x = c.at(0.62, 0, 0.03)
    body = c.blob((y, x), (15 * size, 20 * size), ragged=0.04, power=2.3, reach_mm=200)
    _bone(c, body, "vertebra")
    if rng.random() < 0.2:
        c.dye(body, body.field < 0.8, Tissue.DISC)
    bar = c.blob((y + 20 * size, x), (4.5 * size, 32 * size), ragged=0.08, reach_mm=60)
    tip = c.blob((y + 31 * size, x), (12 * size, 4.5 * size), ragged=0.08, reach_mm=60)
    arch = c.blob((y + 19 * size, x), (13 * size, 15 * size), ragged=0.04, reach_mm=200)
    for part in (bar, tip, arch):
        _bone(c, part, "vertebra")
    canal = c.blob((y + 19 * size, x), (8 * size, 10 * size), ragged=0.04, reach_mm=400)
    c.fill(canal, canal.inside, Tissue.FLUID)


def _aorta(c: Canvas, place: tuple[float, float]) -> None:
    rng = c.rng
    radius = rng.uniform(7.5, 14) if rng.random() < 0.85 else rng.uniform(16, 28)
    aorta = c.blob(place, (radius, radius * rng.uniform(0.9, 1.15)), ragged=0.03, reach_mm=200)
    c.fill(aorta, aorta.inside, Tissue.ARTERY, "aorta")
    if radius > 15:  # an aneurysm with a clot along its wall
        c.dye(aorta, ring(aorta.field, rng.uniform(0.6, 0.8)), Tissue.GUT)


def _hip(c: Canvas, side: int, name: str) -> None:
    """The head of a femur in its socket."""
    rng = c.rng
    y, x = c.at(0.05, side * 0.66, 0.04)
    radius = rng.uniform(17, 26)
    socket = c.blob((y, x - side * 0.55 * radius), (1.5 * radius, 0.9 * radius), ragged=0.08)
    _bone(c, socket, None)
    head = c.blob((y, x), (radius, radius * rng.uniform(0.9, 1.2)), ragged=0.03, reach_mm=90)
    c.fill(head, head.inside, Tissue.FLUID)
    bone = Blob(head.window, head.field / 0.93)
    _bone(c, bone, name)
    if rng.random() < 0.5:
        neck = c.blob((y + 8, x + side * radius), (0.6 * radius, radius), turn_deg=side * 20)
        _bone(c, neck, name)


def _bone(c: Canvas, blob: Blob, structure: str | None) -> None:
    """A dense shell of about 2 mm around marrow."""
    c.fill(blob, blob.inside, Tissue.CORTEX, structure)
    thickness = 2.0 * float(np.sqrt(np.pi / max(1, int(blob.inside[1].sum()))))
    marrow = blob.field < 1.0 - min(0.35, thickness / c.spacing_mm[1])
    c.dye(blob, marrow, Tissue.MARROW)


def _muscle(c: Canvas, place: tuple[float, float], radii: tuple[float, float], turn: float) -> None:
    muscle = c.blob(place, radii, turn_deg=turn, ragged=0.1, reach_mm=100)
    c.fill(muscle, muscle.inside, Tissue.MUSCLE)


def _tumours(c: Canvas, hosts: tuple[str, ...], chance: float) -> None:
    if c.rng.random() < chance:
        for _ in range(int(c.rng.integers(1, 4))):
            c.tumour(str(c.rng.choice(hosts)), float(np.exp(c.rng.uniform(1.8, 3.2))))
