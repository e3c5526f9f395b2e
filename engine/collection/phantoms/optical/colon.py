"""Colonoscopy: a folded tube lit from the camera, polyps, glare, instruments, residue.

The wall is a relief over the picture: its slope, seen from a lamp at the camera, gives shading
and glare alike. A subject is one polyp on one mucosa, seen on two frames of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise, walk
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.pictures import (
    Outline,
    blend,
    camera,
    edge,
    expose,
    outline,
    picture_size,
    pixel_grid,
    strokes,
    tidy,
)
from engine.collection.phantoms.raw_files import write_image

VALUES = {"polyp": 1, "lumen": 2, "instrument": 3, "residue": 4}

_DARK = 0.7  # depth from which hardly any light comes back


@dataclass(frozen=True)
class _Patient:
    """What both frames share.

    Attributes:
        mucosa: colour; vessels: strength of the vessel pattern.
        folds: height of the folds; period: their distance in e-foldings of the depth.
        size_px: long half axis of the polyp; ratio: short over long; dome: how far it rises.
        lobes: roughness of its outline; redness: how its colour differs; rough: its surface.
    """

    mucosa: tuple[float, float, float]
    vessels: float
    folds: float
    period: float
    corner: int
    size_px: float
    ratio: float
    dome: float
    lobes: float
    redness: float
    rough: float
    stalk: bool
    wet: float


@dataclass(frozen=True, eq=False)
class _Scene:
    """One frame in the making: `relief` in pixels of height, `colour` of the surface.

    `light` is 1 on the wall and more on what rises from it towards the lamp.
    """

    where: Field
    relief: Field
    colour: Field
    light: Field

    def cut(self, part: tuple[slice, slice]) -> _Scene:
        """A part of the scene; what is painted on it is painted on the whole."""
        where = self.where[(slice(None), *part)]
        return _Scene(where, self.relief[part], self.colour[part], self.light[part])


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two frames of one recording."""
    patient = _patient(rng)
    return tuple(_shot(name, patient, rng) for name in ("frame1", "frame2"))


def _patient(rng: np.random.Generator) -> _Patient:
    red = rng.uniform(0.62, 0.92)
    green = red * rng.uniform(0.38, 0.68)
    return _Patient(
        mucosa=(red, green, green * rng.uniform(0.55, 0.95)),
        vessels=float(rng.uniform(0.0, 0.25)),
        folds=float(rng.uniform(2.0, 7.0)),
        period=float(rng.uniform(0.35, 0.8)),
        corner=int(rng.integers(0, 3)),
        size_px=float(np.exp(rng.uniform(np.log(18), np.log(68)))),
        ratio=float(rng.uniform(0.55, 1.0)),
        dome=float(rng.uniform(0.1, 0.5)),
        lobes=float(rng.uniform(0.02, 0.12)),
        redness=float(rng.choice([-1, 1]) * rng.uniform(0.03, 0.3)),
        rough=float(rng.uniform(0.1, 1.0)),
        stalk=bool(rng.random() < 0.3),
        wet=float(rng.uniform(0.3, 1.2)),
    )


def _shot(name: str, patient: _Patient, rng: np.random.Generator) -> Shot:
    shape = picture_size(rng)
    where = pixel_grid(shape)
    depth, lumen = _tube(where, rng)
    scene = _wall(where, depth, patient, rng)
    masks: dict[str, Mask] = {"lumen": lumen}
    masks["residue"] = _residue(scene, rng)
    masks["polyp"] = np.zeros(shape, dtype=np.bool_)
    for _ in range(int(rng.choice([1, 1, 2]))):
        masks["polyp"] |= _polyp(scene, depth, patient, rng)
    light = _lit(scene, depth, patient, rng)
    masks["instrument"] = _instrument(light, rng)
    frame = _frame(shape, patient.corner, rng)
    lens = camera(rng, blur_px=1.8, noise=0.04)
    image = expose(light * frame[..., None], lens, rng)
    return Shot(name, "colonoscopy", image, _visible(masks, frame > 0.5), {})


def _tube(where: Field, rng: np.random.Generator) -> tuple[Field, Mask]:
    """Depth of the wall, growing towards the lumen, and where the lumen is too dark to see."""
    shape = where.shape[1:]
    middle = np.array(shape) / 2
    centre = middle + rng.normal(0.0, 0.3, 2) * middle
    radii = rng.uniform(0.55, 1.1) * min(shape) * np.array([1.0, rng.uniform(0.7, 1.0)])
    mouth = outline(rng, centre, radii, rough=0.1)
    rho = mouth.field(where) * np.exp(0.12 * smooth_noise(shape, (28, 28), rng))
    depth = -np.log(np.maximum(rho, 0.04))
    open_ = rng.uniform(0.1, 0.3)
    if rng.random() < 0.25:
        return depth, np.zeros(shape, dtype=np.bool_)
    depth += rng.uniform(0.15, 0.6) * edge(rho / open_, 0.05)
    return depth, np.asarray(rho < open_)


def _wall(where: Field, depth: Field, patient: _Patient, rng: np.random.Generator) -> _Scene:
    """Mucosa in rings of folds that fade and break off, with a net of fine vessels."""
    shape = depth.shape
    bend = smooth_noise(shape, (22, 22), rng)
    wave = np.cos(2 * np.pi * (depth / patient.period + 0.16 * bend) + rng.uniform(0, 6))
    strength = np.clip(0.7 + 0.6 * smooth_noise(shape, (35, 35), rng), 0.0, 1.6)
    relief = patient.folds * strength * np.exp(1.6 * (wave - 1.0)) * np.exp(-0.5 * depth)
    relief += 1.2 * smooth_noise(shape, (14, 14), rng) + 0.12 * smooth_noise(shape, (2.5, 2.5), rng)
    net = np.exp(-((smooth_noise(shape, (7, 7), rng) / 0.12) ** 2))
    net += 0.6 * np.exp(-((smooth_noise(shape, (3.5, 3.5), rng) / 0.12) ** 2))
    mottle = 1.0 + 0.05 * smooth_noise(shape, (20, 20), rng)
    colour = mottle[..., None] * np.asarray(patient.mucosa)
    colour *= 1.0 - patient.vessels * net[..., None] * (0.3, 0.8, 0.7)
    return _Scene(where, relief, colour, np.ones(shape))


def _polyp(scene: _Scene, depth: Field, patient: _Patient, rng: np.random.Generator) -> Mask:
    """A dome on the wall, smaller far away, sometimes on a stalk; painted over what is there."""
    shape = (depth.shape[0], depth.shape[1])
    centre = _place(depth, rng)
    near = float(np.exp(-0.3 * depth[int(centre[0]), int(centre[1])]))
    size = max(9.0, patient.size_px * np.clip(near, 0.55, 1.3) * np.exp(rng.normal(0, 0.15)))
    body = outline(rng, centre, (size * patient.ratio, size), rough=patient.lobes)
    part = body.window(shape, 2.2)
    whole, scene = scene, scene.cut(part)
    field = body.field(scene.where)
    if patient.stalk:
        field = np.minimum(field, _stalk(scene.where, body, rng))
    mask = field <= 1.0
    bumps = smooth_noise(field.shape, (3.0, 3.0), rng)
    dome = size * patient.dome * np.sqrt(np.clip(1.0 - field**2, 0.0, 1.0))
    scene.relief[mask] *= 0.25
    scene.light[...] += rng.uniform(0.1, 0.5) * np.where(mask, np.clip(1.0 - field**2, 0, 1), 0.0)
    scene.relief[mask] += (dome + 0.25 * patient.rough * bumps)[mask]
    redder = np.array([1.0 + 0.3 * patient.redness, 1.0 - patient.redness, 1.0 - patient.redness])
    speckle = 1.0 + 0.08 * patient.rough * bumps
    tint = np.clip(np.asarray(patient.mucosa) * redder, 0, 1) * speckle[..., None]
    share = 0.85 * edge(field, 0.04)
    scene.colour[...] += share[..., None] * (tint - scene.colour)
    scene.colour[...] *= 1.0 - 0.25 * np.exp(-(((field - 1.08) / 0.06) ** 2))[..., None]
    out = np.zeros(whole.relief.shape, dtype=np.bool_)
    out[part] = mask
    return out


def _place(depth: Field, rng: np.random.Generator) -> Field:
    """A point (y, x) of the picture that is not in the dark."""
    for _ in range(20):
        point = rng.uniform(0.16, 0.84, 2) * depth.shape
        if depth[int(point[0]), int(point[1])] < _DARK:
            break
    return np.asarray(point)


def _stalk(where: Field, body: Outline, rng: np.random.Generator) -> Field:
    """The field of a stalk from the head of a polyp to the wall."""
    angle, size = rng.uniform(0, 2 * np.pi), max(body.radii)
    middle = np.array(body.centre) + size * np.array([np.sin(angle), np.cos(angle)])
    radii = (0.3 * size, 0.75 * size)
    stalk = outline(rng, middle, radii, rough=0.04, turn_deg=float(-np.rad2deg(angle)))
    return stalk.field(where)


def _lit(scene: _Scene, depth: Field, patient: _Patient, rng: np.random.Generator) -> Field:
    """Light from the relief: Lambert's law, light lost with depth, mirror glare where it faces."""
    shape = depth.shape
    relief = gaussian_filter(scene.relief, 0.8)
    slope_y, slope_x = np.gradient(relief)
    rows, columns = (np.linspace(-1, 1, n) for n in shape)
    lamp = rng.normal(0.0, 0.25, 2)
    to_y, to_x = (lamp[0] - rows)[:, None] * 0.45, (lamp[1] - columns)[None, :] * 0.45
    size = np.sqrt(1 + slope_y**2 + slope_x**2)
    facing = (1.0 - slope_y * to_y - slope_x * to_x) / (size * np.sqrt(1 + to_y**2 + to_x**2))
    far = np.clip(1.12 * np.exp(-0.75 * np.clip(depth, 0, None) ** 1.3), 0.0, 1.0)
    shade = scene.light * far * (0.3 + 0.7 * np.clip(facing, 0, 1))
    light = scene.colour * shade[..., None]
    ripple = 0.35 * smooth_noise(shape, (2.2, 2.2), rng) * patient.wet
    tilt = (slope_y + 0.15 * ripple + 0.5 * to_y) ** 2 + (slope_x + 0.15 * ripple + 0.5 * to_x) ** 2
    glare = patient.wet * np.exp(-tilt / 0.004) * (smooth_noise(shape, (9, 9), rng) > 0.5) * far
    halo = gaussian_filter(glare, 2.0)
    blend(light, np.clip(1.6 * gaussian_filter(glare, 0.7) + 0.6 * halo, 0, 1), (1.0, 0.98, 0.96))
    return np.asarray(light)


def _residue(scene: _Scene, rng: np.random.Generator) -> Mask:
    """Brownish or yellow matter lying on the wall; some frames have none."""
    shape = scene.relief.shape
    mask = np.zeros(shape, dtype=np.bool_)
    if rng.random() > 0.4:
        return mask
    tint = np.array([0.62, 0.50, 0.18]) * rng.uniform(0.55, 1.2)
    for _ in range(int(rng.integers(1, 3))):
        centre, radii = rng.uniform(0.05, 0.95, 2) * shape, rng.uniform(9, 30, 2)
        field = outline(rng, centre, radii, rough=0.15, decay=0.7).field(scene.where)
        scene.relief[...] += 2.5 * edge(field, 0.12)
        blend(scene.colour, rng.uniform(0.6, 0.95) * edge(field, 0.06), tint)
        mask |= field <= 1.0
    return mask


def _instrument(light: Field, rng: np.random.Generator) -> Mask:
    """A snare's sheath or forceps coming in from the border, in front of everything."""
    shape = (light.shape[0], light.shape[1])
    if rng.random() > 0.35:
        return np.zeros(shape, dtype=np.bool_)
    middle = np.array(shape) / 2
    angle = rng.uniform(0, 2 * np.pi)
    start = middle + 1.45 * middle * np.array([np.sin(angle), np.cos(angle)])
    aim = np.rad2deg(angle) + 180 + rng.normal(0, 15)
    path = walk(start, aim, rng.uniform(0.6, 1.3) * min(shape), rng, wander_deg=0.5)
    radius = rng.uniform(4, 11)
    widths = np.full(len(path), radius)
    widths[-int(2.2 * radius) :] *= rng.uniform(0.55, 1.5)
    body = strokes(shape, [(path, widths)])
    tints = ([0.55, 0.58, 0.62], [0.85, 0.85, 0.78], [0.2, 0.4, 0.7], [0.75, 0.72, 0.25])
    tint = np.array(tints[int(rng.integers(len(tints)))]) * rng.uniform(0.7, 1.1)
    blend(light, 0.55 * strokes(shape, [(path + 0.4 * radius, widths)]), (0.1, 0.03, 0.02))
    blend(light, body, tint * 0.6)
    blend(light, strokes(shape, [(path, 0.6 * widths)]), tint)
    blend(light, 0.6 * strokes(shape, [(path - 0.2 * radius, 0.2 * widths)]), (1.0, 1.0, 1.0))
    return np.asarray(body >= 0.5)


def _frame(shape: tuple[int, int], kind: int, rng: np.random.Generator) -> Field:
    """1 where the endoscope's picture is: the whole frame, a disc, or cut corners."""
    rows, columns = (np.abs(np.linspace(-1, 1, n)) for n in shape)
    if kind == 0:
        return np.ones(shape)
    across = rows[:, None] + columns[None, :]
    if kind == 1:
        across = 1.4 * np.hypot(rows[:, None], columns[None, :])
    return np.clip((rng.uniform(1.5, 1.75) - across) * 60, 0.0, 1.0)


def _visible(masks: dict[str, Mask], seen: Mask) -> dict[str, Mask]:
    """One structure per pixel: instrument before polyp before residue before lumen."""
    out: dict[str, Mask] = {}
    free = seen.copy()
    for name in ("instrument", "polyp", "residue", "lumen"):
        mask = tidy(masks[name] & free)
        free &= ~masks[name]
        if mask.any():
            out[name] = mask
    return out


def labels(shot: Shot) -> NDArray[np.uint8]:
    """uint8[y, x]: `VALUES` of the structures, 0 elsewhere."""
    out = np.zeros(shot.image.shape[:2], dtype=np.uint8)
    for name, mask in shot.masks.items():
        out[mask] = VALUES[name]
    return out


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """JPEG frames and PNG label maps, a folder of frames per subject."""
    for shot in shots:
        write_image(folder / subject / f"{shot.name}.jpg", shot.image)
        write_image(folder / subject / f"{shot.name}_label.png", labels(shot))


FAMILY = Family(name="colonoscopy", modalities=("colonoscopy",), draw=draw, write=write)
