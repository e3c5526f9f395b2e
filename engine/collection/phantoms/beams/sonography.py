"""Scenes a probe looks at: a fetal head, a neck, a heart, a breast, a gallbladder with stones.

Depth runs down; the probe is above. All places are in halves of the picture's short side.
"""

from __future__ import annotations

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask
from engine.collection.phantoms.beams.outlines import Outline, Point
from engine.collection.phantoms.beams.probe import Tissues


def fetal_head(t: Tissues) -> None:
    """A bright skull in fluid; midline and ventricle inside, placenta and wall around."""
    rng = t.rng
    _mottle(t, 0.5, 0.4)
    t.fill(t.oval((0.1, 0.0), (0.9, 1.15), ragged=0.06), 0.008, 0.02)
    placenta = t.oval((-0.55, rng.normal(0, 0.5)), (0.3, rng.uniform(0.4, 0.9)), ragged=0.1)
    t.fill(placenta, rng.uniform(0.6, 1.0), 0.2)
    centre = rng.normal(0.1, 0.1), rng.normal(0.0, 0.12)
    half = rng.uniform(0.38, 0.68)
    radii = half * rng.uniform(0.68, 0.86), half
    turn = rng.uniform(-40, 40)
    head = t.oval(centre, radii, turn, ragged=0.015)
    t.fill(head, rng.uniform(0.15, 0.35), 0.3)
    folds = np.abs(t.noise(0.06))[head.window]
    sulci = (folds < 0.18) & (head.field > 0.55) & (head.field < 0.92)
    t.echo[head.window][sulci] *= rng.uniform(1.5, 3.0)
    axis = np.deg2rad(turn)
    ahead = np.array([np.sin(axis), np.cos(axis)]) * radii[1]
    midline = t.rod(
        _moved(centre, -0.85 * ahead), _moved(centre, 0.85 * ahead), rng.uniform(0.006, 0.012), 0.0
    )
    t.fill(midline, 1.4)
    if rng.random() < 0.75:
        across = np.array([np.cos(axis), -np.sin(axis)]) * radii[0]
        offset = rng.uniform(-0.3, 0.2) * ahead + rng.choice([-1, 1]) * 0.35 * across
        size = radii[1] * rng.uniform(0.2, 0.36)
        horn = t.oval(_moved(centre, offset), (0.45 * size, size), turn + rng.uniform(-25, 25))
        t.line(horn, 0.9, 0.08)
        t.own("ventricle", t.fill(horn, 0.01, 0.05))
    skull = rng.uniform(0.025, 0.05)
    t.line(head, rng.uniform(1.8, 3.5), skull, rng.uniform(2.0, 7.0))
    t.own("fetal_head", t.mask(head, high=1.0 + skull))


def neck(t: Tissues) -> None:
    """Thyroid lobes beside the windpipe, carotids outside, strap muscles in front."""
    rng = t.rng
    middle = rng.choice([-0.75, 0.0, 0.75]) + rng.normal(0, 0.08)
    _mottle(t, rng.uniform(0.25, 0.5), 0.3)
    _layers(t, -0.62)
    deep = rng.normal(0.0, 0.07)
    for side in (-1, 1):
        muscle = t.oval((deep - 0.42, middle + side * 0.5), (0.1, 0.55), side * 12, ragged=0.08)
        t.fill(muscle, 0.25, 0.4)
    isthmus = t.oval((deep - 0.22, middle), (0.1, 0.4), ragged=0.08)
    texture, lobes = rng.uniform(0.9, 1.5), []
    t.fill(isthmus, texture)
    for side in (-1, 1):
        size = rng.uniform(0.25, 0.42)
        place = (deep + rng.normal(0, 0.05), middle + side * rng.uniform(0.42, 0.55))
        lobe = t.oval(place, (size, size * rng.uniform(0.75, 1.15)), side * 20, ragged=0.06)
        mask = t.fill(lobe, texture)
        t.own("thyroid", mask | t.mask(isthmus))
        lobes.append((place, size, mask))
        radius = rng.uniform(0.11, 0.19)
        beside = place[0] + 0.12, place[1] + side * (1.05 * size + radius)
        artery = t.oval(beside, (radius, radius * rng.uniform(0.9, 1.25)), ragged=0.02)
        t.line(artery, 1.2, 0.1)
        t.own("carotid_artery", t.fill(artery, 0.012, 0.1))
        vein = (beside[0] - 0.16, beside[1] + side * 0.22)
        t.fill(t.oval(vein, (0.09, 0.18), side * 20), 0.012, 0.1)
    windpipe = t.oval((deep + 0.24, middle), (0.3, 0.3), ragged=0.02)
    inside = t.fill(windpipe, 0.1, 6.0)
    t.line(windpipe, 2.0, 0.07)
    for name in ("thyroid", "carotid_artery"):
        t.disown(name, inside)
    for place, size, mask in lobes:
        if rng.random() < 0.6:
            _nodule(t, place, size, mask)


def _nodule(t: Tissues, place: Point, size: float, lobe: Mask) -> None:
    """Solid, cystic or mixed, with a dark halo or specks of chalk."""
    rng = t.rng
    radius = size * rng.uniform(0.25, 0.6)
    centre = place[0] + rng.normal(0, 0.25) * size, place[1] + rng.normal(0, 0.2) * size
    nodule = t.oval(centre, (radius * rng.uniform(0.7, 1.0), radius), ragged=0.06)
    t.fill(nodule, float(rng.choice([0.02, 0.3, 0.5, 2.4])), rng.uniform(0.1, 0.4))
    if rng.random() < 0.5:
        t.line(nodule, 0.15, 0.08)
    if rng.random() < 0.4:
        for _ in range(3):
            at = _moved(centre, rng.normal(0, 0.3, 2) * radius)
            t.fill(t.oval(at, (0.02, 0.03)), 3.0, 8.0)
    t.own("nodule", t.mask(nodule))
    t.own("thyroid", t.mask(nodule))


def heart(t: Tissues) -> None:
    """Four chambers from the apex: the left ventricle in its muscle, atria below the valves."""
    rng = t.rng
    _mottle(t, rng.uniform(0.12, 0.4), 0.35)
    lean = rng.uniform(-20, 20)
    down = np.array([np.cos(np.deg2rad(lean)), -np.sin(np.deg2rad(lean))])
    across = np.array([np.sin(np.deg2rad(lean)), np.cos(np.deg2rad(lean))])
    tall, wide = rng.uniform(0.36, 0.52), rng.uniform(0.19, 0.3)
    wall, half = rng.uniform(0.07, 0.15), rng.uniform(0.13, 0.22)
    y, x = rng.normal(-0.18, 0.05), rng.normal(0.18, 0.06)
    base = _moved((y, x), down * tall * rng.uniform(0.75, 0.95))
    beside = _moved((y, x), -across * (wide + wall + 0.85 * half) + down * 0.1)
    size = rng.uniform(0.2, 0.32)
    below = _moved(base, down * (size + 0.05))
    second = _moved(base, down * (size + 0.02) - across * (size + half + 0.05))
    cavity = t.oval((y, x), (tall, wide), lean, ragged=0.05)
    right = t.oval(beside, (0.75 * tall, half), lean - rng.uniform(5, 20), ragged=0.08)
    atrium = t.oval(below, (size, size * rng.uniform(0.8, 1.2)), ragged=0.06)
    other = t.oval(second, (0.85 * size, 0.9 * size), ragged=0.06)
    outer = t.oval(_moved((y, x), -0.3 * wall * down), (tall + wall, wide + wall), lean)
    muscle = rng.uniform(0.5, 1.0)
    for around in (right, atrium, other):
        t.fill(Outline(around.window, around.field / rng.uniform(1.12, 1.25)), 0.9 * muscle)
    t.fill(outer, muscle)
    t.line(outer, 1.8, 0.02)  # the pericardium
    blood = rng.uniform(0.01, 0.06)
    hollow = [t.fill(part, blood, 0.1) for part in (right, atrium, other)]
    offset = t.where - np.array(base)[:, None, None]
    above = offset[0] * down[0] + offset[1] * down[1] < 0.0
    wall_mask = t.mask(outer)
    inner = t.fill(cavity, blood, 0.1)
    ventricle = inner & above
    t.own("left_ventricle", ventricle)
    t.own("myocardium", wall_mask & ~inner & above)
    t.own("left_atrium", hollow[1] & ~ventricle)
    if rng.random() < 0.6:
        t.own("right_ventricle", hollow[0] & ~wall_mask)
    t.echo[hollow[0] & wall_mask & ~inner] = muscle
    for side in (-1, 1):  # leaflets of the mitral valve
        hinge = _moved(base, side * across * wide * 0.9)
        tip = _moved(base, -down * 0.14 + side * across * rng.uniform(0.02, 0.12))
        t.fill(t.rod(hinge, tip, 0.014, 0.0), 1.5)


def breast(t: Tissues) -> None:
    """Skin, fat, glandular tissue, and one to three cysts or solid lesions."""
    rng = t.rng
    _mottle(t, rng.uniform(0.5, 0.9), 0.5)
    _layers(t, rng.uniform(-0.7, -0.35))
    for _ in range(int(rng.integers(2, 7))):  # lobules of fat look like lesions
        place = rng.uniform(-0.5, 0.6), rng.uniform(-1.0, 1.0)
        t.fill(t.oval(place, (rng.uniform(0.06, 0.16), rng.uniform(0.12, 0.35))), 0.3)
    chest_wall = t.all_over(1.0 + (rng.uniform(0.7, 0.95) - t.where[0]) * 4 + 0.2 * t.noise(0.3))
    t.fill(chest_wall, 0.35, 0.5)
    t.line(chest_wall, 1.6, 0.1)
    cystic = rng.random() < 0.45
    for number in range(1 + int(rng.integers(0, 3) * rng.integers(0, 2))):
        radius = rng.uniform(0.12, 0.42) / (1 + 0.5 * number)
        place = rng.uniform(-0.25, 0.45), rng.uniform(-0.65, 0.65)
        radii = radius * rng.uniform(0.55, 1.0), radius
        if cystic:
            cyst = t.oval(place, radii, rng.uniform(-30, 30), ragged=0.03)
            t.line(cyst, 1.3, 0.05)
            t.own("cyst", t.fill(cyst, 0.006, -0.4))  # less loss than around: brighter behind
        else:
            solid = t.oval(place, radii, rng.uniform(-30, 30), ragged=rng.uniform(0.05, 0.16))
            mask = t.fill(solid, rng.uniform(0.08, 0.3), rng.uniform(0.3, 2.5))
            t.own("lesion", mask)


def gallbladder(t: Tissues) -> None:
    """A pear of bile under the liver; stones throw shadows; a kidney or gut behind."""
    rng = t.rng
    _mottle(t, rng.uniform(0.5, 0.9), 0.35)
    _layers(t, -0.75)
    for _ in range(int(rng.integers(1, 5))):  # portal and hepatic veins
        start = rng.uniform(-0.6, 0.5), rng.uniform(-1.0, 1.0)
        end = _moved(start, rng.normal(0, 0.35, 2))
        t.fill(t.rod(start, end, rng.uniform(0.03, 0.07), 0.3), 0.03, 0.1)
    gut = t.oval((0.65, rng.choice([-1, 1]) * 0.5), (0.2, 0.35), ragged=0.1)
    t.fill(gut, 1.6, rng.uniform(1.0, 5.0))
    if rng.random() < 0.6:
        _kidney(t)
    centre = rng.normal(0.0, 0.12), rng.normal(0.0, 0.2)
    tall, long = rng.uniform(0.12, 0.28), rng.uniform(0.3, 0.6)
    turn = rng.uniform(-50, 50)
    bulb = t.oval(centre, (tall, long), turn, ragged=0.05)
    axis = np.deg2rad(turn)
    tip = t.oval(
        _moved(centre, 0.6 * long * np.array([np.sin(axis), np.cos(axis)])),
        (0.6 * tall, 0.6 * long),
        turn,
    )
    pear = t.joined(bulb, tip)
    t.line(pear, 1.2, 0.09)
    bile = t.fill(pear, 0.006, 0.02)
    t.own("gallbladder", bile)
    if rng.random() < 0.6:
        _stones(t, bile)


def _stones(t: Tissues, bile: Mask) -> None:
    """They lie on the lower wall."""
    rng = t.rng
    columns = np.flatnonzero(bile.any(axis=0))
    for _ in range(int(rng.integers(1, 4))):
        if len(columns) < 3:
            return
        column = int(columns[int(rng.uniform(0.2, 0.8) * len(columns))])
        row = int(np.flatnonzero(bile[:, column])[-1])
        radius = rng.uniform(0.045, 0.11)
        place = float(t.where[0, row, column]) - 0.7 * radius, float(t.where[1, row, column])
        stone = t.oval(place, (0.8 * radius, radius), ragged=0.08)
        t.own("gallstone", t.fill(stone, rng.uniform(2.0, 4.0), rng.uniform(8.0, 25.0)))


def _kidney(t: Tissues) -> None:
    """A dark rim around bright fat."""
    rng = t.rng
    place = rng.uniform(0.4, 0.65), rng.choice([-1, 1]) * rng.uniform(0.35, 0.65)
    radii = rng.uniform(0.17, 0.26), rng.uniform(0.35, 0.5)
    kidney = t.oval(place, radii, rng.uniform(-25, 25), ragged=0.04)
    t.own("kidney", t.fill(kidney, rng.uniform(0.25, 0.4)))
    t.line(kidney, 1.0, 0.06)
    sinus = Outline(kidney.window, kidney.field / rng.uniform(0.4, 0.6))
    t.fill(sinus, 1.3)


def _layers(t: Tissues, depth: float) -> None:
    """Skin, fat and its septa, a fascia below."""
    rng = t.rng
    y = t.where[0]
    bend = 0.05 * t.noise(0.5)
    fat = y < depth + bend
    t.echo[fat] *= 0.5
    septa = np.abs(t.noise(0.07) + 0.4 * t.noise(0.2)) < 0.12
    t.echo[fat & septa] = 1.1
    t.echo[np.abs(y - depth - bend) < 0.02] = rng.uniform(1.2, 2.2)
    t.echo[y < -0.93 + 0.1 * bend] = 1.5


def _mottle(t: Tissues, echo: float, loss: float) -> None:
    """Uneven background tissue with strands."""
    rng = t.rng
    cloud = np.exp(0.3 * t.noise(0.1) + 0.35 * t.noise(0.4))
    t.echo[:] = echo * cloud
    t.echo[np.abs(t.noise(0.12)) < rng.uniform(0.0, 0.08)] *= 2.0
    t.loss[:] = loss * (1.0 + 0.25 * t.noise(0.4))


def _moved(place: Point, by: Field) -> Point:
    return place[0] + float(by[0]), place[1] + float(by[1])
