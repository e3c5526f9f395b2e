"""A hand on the cassette and a pelvis from the front."""

from __future__ import annotations

import numpy as np

from engine.collection.phantoms.beams.outlines import Outline, Point
from engine.collection.phantoms.beams.projection import Film

_LABELLED = {(1, 0): "metacarpal_2", (4, 0): "metacarpal_5", (2, 1): "proximal_phalanx_3"}


def hand(film: Film) -> None:
    """Fingers up, from the forearm's ends to the fingertips; a left or a right hand."""
    rng = film.rng
    side = float(rng.choice([-1, 1]))
    size = rng.uniform(0.9, 1.15)
    wrist = 0.42 * size
    spread = rng.uniform(6, 15)
    for finger in range(5):
        degrees = side * ((finger - 2) * spread + rng.normal(0, 3)) + (
            -side * rng.uniform(18, 35) if finger == 0 else 0.0
        )
        start = (wrist - 0.14 * size + 0.03 * abs(finger - 2), side * (finger - 2) * 0.085 * size)
        _finger(film, finger, start, degrees, size)
    _carpals(film, (wrist, 0.0), size)
    for name, dx, thick in (("radius", -0.11, 0.092), ("ulna", 0.12, 0.062)):
        top = wrist + 0.19 * size + (0.04 if name == "ulna" else 0.0), side * dx * size
        radius = thick * size * rng.uniform(0.85, 1.15)
        flesh = film.rod(top, (1.6, side * dx * size * 1.1), 2.2 * radius, 0.0)
        film.soft(flesh, 0.5)
        bone = film.rod(top, (1.7, side * dx * size * 1.05), radius, rng.uniform(0.3, 0.6))
        film.own(name, film.bone(bone, 0.6))


def _finger(film: Film, finger: int, start: Point, degrees: float, size: float) -> None:
    """A metacarpal and its phalanges; the thumb has one less."""
    rng = film.rng
    lengths = (0.34, 0.25, 0.16, 0.11) if finger else (0.26, 0.19, 0.14)
    relative = (0.85, 0.97, 1.0, 0.95, 0.8)[finger] * size
    direction = degrees
    place = start
    for index, length in enumerate(lengths):
        direction += rng.normal(0, 4)
        reach = length * relative * rng.uniform(0.92, 1.08)
        dy, dx = -np.cos(np.deg2rad(direction)), np.sin(np.deg2rad(direction))
        end = place[0] + dy * reach, place[1] + dx * reach
        radius = (0.040, 0.034, 0.028, 0.022)[index] * size * rng.uniform(0.85, 1.2)
        film.soft(film.rod(place, end, (2.7 if index == 0 else 2.2) * radius, 0.1), 0.28)
        mask = film.bone(film.rod(place, end, radius, rng.uniform(0.3, 0.6)), 0.38)
        if (finger, index) in _LABELLED:
            film.own(_LABELLED[finger, index], mask)
        gap = 1.6 * radius * (1.0 + 0.3)
        place = end[0] + dy * gap, end[1] + dx * gap


def _carpals(film: Film, wrist: Point, size: float) -> None:
    """Eight bones in two rows, one structure together."""
    rng = film.rng
    film.soft(film.oval(wrist, (0.3 * size, 0.28 * size)), 0.45)
    for index in range(8):
        row, column = divmod(index, 4)
        place = (
            wrist[0] + (row - 0.5) * 0.13 * size + rng.normal(0, 0.01),
            wrist[1] + (column - 1.5) * 0.105 * size + rng.normal(0, 0.012),
        )
        radii = 0.066 * size * rng.uniform(0.8, 1.25), 0.057 * size * rng.uniform(0.8, 1.25)
        bone = film.oval(place, radii, turn_deg=rng.uniform(-40, 40), ragged=0.08)
        film.own("carpals", film.bone(bone, 0.4))


def pelvis(film: Film) -> None:
    """Wings, obturator rings, sacrum and both femora; gas and soft tissue around."""
    rng = film.rng
    size = rng.uniform(0.8, 1.05)
    trunk = film.oval((0.1, 0.0), (1.9, 1.15 * size + 0.15), power=4, ragged=0.0)
    film.soft(trunk, rng.uniform(1.0, 1.6))
    for _ in range(int(rng.integers(2, 9))):
        gas = rng.uniform(-0.9, 0.1), rng.uniform(-0.5, 0.5)
        film.soft(film.oval(gas, tuple(rng.uniform(0.04, 0.13, 2)), ragged=0.15), -0.15)
    spine = film.oval((-0.85, 0.0), (0.5, 0.16 * size), power=4)
    film.bone(spine, 0.35)
    _sacrum(film, size)
    lean = rng.uniform(10, 45)
    for side, name in ((-1, "right"), (1, "left")):
        _hip(film, side, name, size, lean)
        _femur(film, side, name, size)


def _sacrum(film: Film, size: float) -> None:
    """A wedge: broad above, pointed below, with paired openings."""
    rng = film.rng
    y, x = film.where
    top, tall = -0.46 * size, rng.uniform(0.5, 0.75) * size
    along = (y - top) / tall
    half = rng.uniform(0.2, 0.28) * size * np.clip(1.05 - along, 0.05, None) ** 0.7
    field = np.maximum(np.abs(x) / half, np.abs(along - 0.5) * 2.0) + 0.04 * film.noise(0.06)
    film.own("sacrum", film.bone(film.all_over(field), 0.35, shell=0.85))
    for side in (-1, 1):
        for step in range(3):
            hole = (top + (0.2 + 0.2 * step) * tall, side * (0.1 - 0.02 * step) * size)
            film.soft(film.oval(hole, (0.025, 0.03), ragged=0.1), -0.08)


def _hip(film: Film, side: int, name: str, size: float, lean: float) -> None:
    """Wing, socket and the ring below; its hole is not part of it."""
    rng = film.rng
    wing = film.oval(
        (-0.28 * size, side * 0.47 * size),
        (rng.uniform(0.32, 0.42) * size, rng.uniform(0.2, 0.29) * size),
        turn_deg=side * lean,
        ragged=0.06,
        power=2.4,
    )
    socket = film.oval((0.11 * size, side * 0.45 * size), (0.22 * size, 0.18 * size), ragged=0.05)
    loop = film.oval(
        (0.36 * size, side * 0.26 * size),
        (rng.uniform(0.22, 0.28) * size, rng.uniform(0.21, 0.25) * size),
        turn_deg=side * rng.uniform(-40, 40),
        ragged=0.09,
    )
    inner = rng.uniform(0.45, 0.62)
    tube = Outline(loop.window, np.abs(loop.field - (1 + inner) / 2) / ((1 - inner) / 2))
    bone = film.bone(wing, 0.26, shell=0.92, core=0.6)
    bone |= film.bone(film.joined(socket, tube), 0.28)
    film.own(f"hip_{name}", bone)


def _femur(film: Film, side: int, name: str, size: float) -> None:
    """Head, neck, trochanter and a shaft that leaves the picture."""
    rng = film.rng
    head = (0.17 * size + rng.normal(0, 0.02), side * 0.52 * size)
    knee = (head[0] + 0.24 * size, side * rng.uniform(0.76, 0.86) * size)
    far = (1.6, knee[1] - side * rng.uniform(-0.05, 0.2))
    radius = rng.uniform(0.145, 0.185) * size
    ball = film.oval(head, (radius, radius), ragged=0.02)
    neck = film.rod(head, knee, rng.uniform(0.09, 0.12) * size, 0.3)
    shaft = film.rod(knee, far, rng.uniform(0.09, 0.12) * size, 0.4)
    bump = film.oval((knee[0] - 0.06, knee[1] + side * 0.03), (0.13 * size, 0.1 * size))
    film.own(f"femur_{name}", film.bone(film.joined(ball, neck, shaft, bump), 0.4))
