"""The prompts of protocol section 2, written as plainly as possible: lists, fractions, loops.

Nothing here is shared with the package but the seed, which has its own golden test; even that is
recomputed from the protocol's sentence.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np

Pixel = tuple[int, int]  # (x, y)
Rows = list[list[bool]]


def pixels(mask: Rows) -> list[Pixel]:
    return [(x, y) for y, row in enumerate(mask) for x, inside in enumerate(row) if inside]


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def centre(mask: Rows) -> Pixel | None:
    found = pixels(mask)
    x = half_up(Fraction(sum(p[0] for p in found), len(found)))
    y = half_up(Fraction(sum(p[1] for p in found), len(found)))
    return (x, y) if mask[y][x] else None


def evenly(items: list[Pixel], m: int) -> list[Pixel]:
    n = len(items)
    return [items[math.floor((i + Fraction(1, 2)) * n / m)] for i in range(m)]


def positives(mask: Rows, k: int) -> list[Pixel]:
    middle = centre(mask)
    if middle is None:
        return evenly(pixels(mask), k)
    return [middle] + (evenly(pixels(mask), k - 1) if k > 1 else [])


def tight_box(mask: Rows) -> list[int]:
    found = pixels(mask)
    xs = [p[0] for p in found]
    ys = [p[1] for p in found]
    return [min(xs), min(ys), max(xs), max(ys)]


def around(mask: Rows) -> list[Pixel]:
    x0, y0, x1, y1 = tight_box(mask)
    w = x1 - x0 + 1
    h = y1 - y0 + 1
    height, width = len(mask), len(mask[0])
    inside_window = []
    for y in range(height):
        for x in range(width):
            columns = max(0, x0 - w // 2) <= x <= min(width - 1, x1 + w // 2)
            rows = max(0, y0 - h // 2) <= y <= min(height - 1, y1 + h // 2)
            if columns and rows and not mask[y][x]:
                inside_window.append((x, y))
    return inside_window


def negatives(mask: Rows, k: int) -> list[Pixel]:
    found = around(mask)
    return found if len(found) < k else evenly(found, k)


def seed(study_seed: int, object_id: str, strategy: str, lo: int, hi: int, trial: int) -> int:
    text = f"{study_seed}|{object_id}|{strategy}|{lo}-{hi}|{trial}"
    digest = hashlib.sha256(text.encode()).digest()
    return sum(byte << (8 * place) for place, byte in enumerate(digest[:16]))


def placed(value: float, extent: int) -> int:
    rounded = math.floor(value + 0.5)
    if rounded < 0:
        return 0
    if rounded > extent - 1:
        return extent - 1
    return rounded


def prompt(
    mask: Rows,
    *,
    positive: int,
    negative: int,
    with_box: bool,
    seed: int,
    lo: int,
    hi: int,
    moves: str = "first",
    box_rule: str = "edges",
) -> tuple[list[tuple[int, int, bool]], list[int] | None, set[str]]:
    """Points (x, y, positive), box [x0, y0, x1, y1] and the set of notes."""
    height, width = len(mask), len(mask[0])
    good = positives(mask, positive) if positive else []
    bad = negatives(mask, negative) if negative else []
    box = tight_box(mask) if with_box else None
    notes = set()
    if negative and not bad:
        notes.add("no_negative_pixels")

    if (lo, hi) != (0, 0):
        rng = np.random.Generator(np.random.PCG64(seed))
        if box is not None:
            extents = [width, height, width, height]
            if box_rule == "edges":
                shifts = []
                for _ in range(4):
                    u = rng.random()
                    v = rng.random()
                    magnitude = lo + (hi - lo) * v
                    shifts.append(-magnitude if u < 0.5 else magnitude)
            else:
                a = rng.random()
                b = rng.random()
                t = 2 * math.pi * a
                r = lo + (hi - lo) * b
                shifts = [r * math.cos(t), r * math.sin(t)] * 2
            moved = [placed(box[i] + shifts[i], extents[i]) for i in range(4)]
            box = [
                min(moved[0], moved[2]),
                min(moved[1], moved[3]),
                max(moved[0], moved[2]),
                max(moved[1], moved[3]),
            ]
            if box[0] == box[2] or box[1] == box[3]:
                notes.add("degenerate_box")
        for i in range(len(good) if moves == "all" else min(1, len(good))):
            a = rng.random()
            b = rng.random()
            t = 2 * math.pi * a
            r = lo + (hi - lo) * b
            x, y = good[i]
            good[i] = (placed(x + r * math.cos(t), width), placed(y + r * math.sin(t), height))

    points = [(x, y, True) for x, y in good] + [(x, y, False) for x, y in bad]
    return points, box, notes
