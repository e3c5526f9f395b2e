"""A chest from the front: air in the lungs, the heart's shadow, clavicles over periodic ribs."""

from __future__ import annotations

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask
from engine.collection.phantoms.beams.projection import Film, thickness


def chest(film: Film) -> None:
    """Paint a chest; the patient's left is on the right of the picture."""
    rng = film.rng
    y, x = film.where
    wide, tall = rng.uniform(0.72, 0.95), rng.uniform(0.66, 0.92)
    _soft_parts(film, wide)
    lungs = {side: _lung(film, side, wide, tall) for side in (-1, 1)}
    air = lungs[-1] | lungs[1]
    _vessels(film, lungs)
    cage = np.hypot((y - 0.05) / (1.12 * tall), x / (1.06 * wide))
    _ribs(film, cage, tall)
    _spine(film)
    heart = _heart(film, wide, tall)
    for side, name in ((-1, "right"), (1, "left")):
        lung = lungs[side] & ~heart
        film.own(f"lung_{name}", lung & (side * x > 0.02))
        _clavicle(film, side, wide, tall, f"clavicle_{name}")
    if rng.random() < 0.85:
        film.own("heart", heart)
    if rng.random() < 0.45:
        _nodules(film, air & ~heart, wide, tall)
    if rng.random() < 0.25:
        _device(film, wide)


def _soft_parts(film: Film, wide: float) -> None:
    rng = film.rng
    depth = rng.uniform(1.1, 1.6)
    trunk = film.oval((0.35, 0.0), (1.9, 1.12 * wide + rng.uniform(0.02, 0.15)), power=4, ragged=0)
    film.soft(trunk, depth)
    film.soft(film.oval((-1.05, 0.0), (0.55, 0.24), ragged=0.0), 0.5 * depth)
    for side in (-1, 1):
        film.soft(film.oval((-0.75, side * wide), (0.32, 0.42), turn_deg=side * 25), 0.55)
        scapula = film.oval(
            (-0.3, side * (0.93 * wide + rng.normal(0, 0.04))),
            (rng.uniform(0.3, 0.45), rng.uniform(0.12, 0.2)),
            turn_deg=side * rng.uniform(-25, 5),
            ragged=0.1,
        )
        film.bone(scapula, 0.14)
        film.bone(film.oval((-0.68, side * 1.08 * wide), (0.14, 0.13)), 0.3)
        if rng.random() < 0.35:
            breast = film.oval((0.35, side * 0.45 * wide), (0.3, 0.34 * wide), ragged=0.03)
            film.soft(breast, rng.uniform(0.1, 0.3))


def _lung(film: Film, side: int, wide: float, tall: float) -> Mask:
    """A wing: pointed above, cut by the dome of the diaphragm below and the middle inside."""
    rng = film.rng
    y, x = film.where
    middle = side * wide * rng.uniform(0.46, 0.54)
    radii = tall * rng.uniform(0.95, 1.1), wide * rng.uniform(0.36, 0.44)
    upper = np.clip((0.2 - y) / tall, 0.0, 1.2)
    axis = middle * (1.0 - rng.uniform(0.1, 0.3) * upper)
    narrow = 1.0 + rng.uniform(0.0, 0.5) * upper * upper
    field = np.hypot(y / radii[0], (x - axis) * narrow / radii[1])
    field = field + rng.uniform(0.02, 0.05) * film.noise(0.22)
    level = tall * rng.uniform(0.5, 0.85) - (0.06 if side < 0 else 0.0)
    dome = level - 0.22 * np.clip(1.0 - ((x - middle) / (0.5 * wide)) ** 2, -2.0, 1.0)
    dome = dome + rng.uniform(0.0, 0.03) * film.noise(0.3)
    below = np.clip((y - dome) / 0.035, 0.0, 1.0)  # the dome's slope softens its edge
    deep = np.sqrt(thickness(field)) * (1.0 - below)
    film.absorbed -= rng.uniform(0.6, 0.9) * deep
    if side > 0 and rng.random() < 0.5:  # gas in the stomach
        film.soft(film.oval((level + 0.16, middle), (0.09, 0.16), ragged=0.1), -0.25)
    return np.asarray((field <= 1.0) & (y < dome + 0.015))


def _vessels(film: Film, lungs: dict[int, Mask]) -> None:
    """Branches from the hila, denser near them."""
    rng = film.rng
    y, x = film.where
    fine = film.noise(0.02) + 0.8 * film.noise(0.06)
    for side, lung in lungs.items():
        away = np.hypot(y - 0.0, x - side * 0.2)
        film.absorbed += lung * rng.uniform(0.02, 0.06) * fine * np.exp(-away / 0.5)
        hilum = film.oval((rng.normal(0.0, 0.04), side * 0.22), (0.17, 0.09), ragged=0.15)
        film.soft(hilum, rng.uniform(0.05, 0.2))


def _ribs(film: Film, cage: Field, tall: float) -> None:
    """Posterior ribs fall outwards, anterior ones fall inwards and are fainter."""
    rng = film.rng
    y, x = film.where
    away = np.abs(x)
    pitch = tall * rng.uniform(0.17, 0.23)
    depth = rng.uniform(0.07, 0.18)
    inside = np.clip((1.0 - cage) * 12.0, 0.0, 1.0)
    for slope, share in ((rng.uniform(0.12, 0.4), 1.0), (-rng.uniform(0.3, 0.7), 0.55)):
        bow = slope * away - (0.25 * away * away * away if slope > 0 else 0.0)
        phase = (y - bow) / pitch + rng.random()
        field = np.abs(phase - np.rint(phase)) / rng.uniform(0.17, 0.26)
        shadow = thickness(field) - 0.45 * thickness(field / 0.75)
        fade = np.clip((away - (0.05 if slope > 0 else 0.3)) * 8, 0.0, 1.0)
        film.absorbed += 2.0 * depth * share * shadow * fade * inside


def _spine(film: Film) -> None:
    rng = film.rng
    y, x = film.where
    bend = 0.03 * rng.normal() * np.sin(2.0 * y + rng.uniform(0, 6))
    column = np.abs(x - bend) / rng.uniform(0.10, 0.14)
    discs = 1.0 + 0.12 * np.cos(2 * np.pi * y / rng.uniform(0.16, 0.22))
    film.absorbed += 0.35 * discs * thickness(column)
    middle = film.oval((-0.1, 0.02), (1.0, rng.uniform(0.16, 0.24)), power=4, ragged=0)
    film.soft(middle, 0.35)
    windpipe = (np.abs(x - bend - 0.01) / 0.05) ** 2 + np.clip(y + 0.25, 0.0, None) ** 2 / 0.01
    film.absorbed -= 0.16 * np.sqrt(np.clip(1.0 - windpipe, 0.0, None))


def _heart(film: Film, wide: float, tall: float) -> Mask:
    """The ventricles to the left, the right atrium, the knob of the aorta above."""
    rng = film.rng
    size = wide * rng.uniform(0.36, 0.52)
    low = tall * rng.uniform(0.2, 0.4)
    main = film.oval(
        (low, 0.32 * size + rng.normal(0, 0.03)),
        (size * rng.uniform(0.7, 0.95), size),
        turn_deg=rng.uniform(15, 45),
        ragged=0.05,
    )
    atrium = film.oval((low - 0.1, -0.38 * size), (0.6 * size, 0.42 * size), ragged=0.04)
    film.soft(film.oval((-0.32, 0.1), (0.15, rng.uniform(0.08, 0.13))), 0.22)
    return film.soft(film.joined(main, atrium), rng.uniform(0.35, 0.6))


def _clavicle(film: Film, side: int, wide: float, tall: float, name: str) -> None:
    """A flat S from the breastbone to the shoulder."""
    rng = film.rng
    y, x = film.where
    start, end = 0.09 + rng.uniform(0, 0.05), wide * rng.uniform(0.75, 0.95)
    along = (side * x - start) / (end - start)
    level = -tall * rng.uniform(0.66, 0.84)
    rise = rng.uniform(-0.12, 0.22)
    curve = level + 0.06 - rise * along + rng.uniform(0.02, 0.06) * np.sin(2 * np.pi * along)
    thick = rng.uniform(0.032, 0.055) * (1.0 + 0.6 * np.abs(along - 0.45))
    ends = np.clip(np.abs(along - 0.5) - 0.46, 0.0, None) / 0.05
    field = np.hypot((y - curve) / thick, ends)
    film.own(name, film.bone(film.all_over(field), rng.uniform(0.3, 0.5)))


def _nodules(film: Film, air: Mask, wide: float, tall: float) -> None:
    """Round shadows in the lungs; what lies behind heart and diaphragm is not labelled."""
    rng = film.rng
    for _ in range(int(rng.integers(1, 4))):
        side = rng.choice([-1, 1])
        centre = tall * rng.uniform(-0.6, 0.45), side * wide * rng.uniform(0.35, 0.75)
        radius = float(np.exp(rng.uniform(np.log(0.06), np.log(0.15))))
        nodule = film.oval(centre, (radius, radius * rng.uniform(0.7, 1.3)), ragged=0.1)
        film.own("nodule", film.soft(nodule, rng.uniform(0.25, 0.5)) & air)


def _device(film: Film, wide: float) -> None:
    """A pacemaker, or a tube: bright, sharp, and nobody's structure."""
    rng = film.rng
    y, x = film.where
    if rng.random() < 0.5:
        place = -0.45, rng.choice([-1, 1]) * 0.6 * wide
        film.soft(film.oval(place, (0.1, 0.13), power=3, ragged=0.0), 1.2)
    path = 0.15 * rng.normal() + 0.1 * np.sin(rng.uniform(2, 4) * y + rng.uniform(0, 6))
    line = (np.abs(x - path) < 0.008) & (y < rng.uniform(-0.2, 0.5))
    film.absorbed += 0.5 * line
