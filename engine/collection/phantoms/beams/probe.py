"""What an ultrasound probe makes of tissue: beams, shadows, speckle, decibels.

Tissue is drawn on the picture's grid; the physics happens along the beams (depth x beam), and
the result is scan-converted back, as a machine does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from engine.collection.phantoms.anatomy import Field, Mask
from engine.collection.phantoms.beams.outlines import Easel, Outline

_FLOOR = 6e-4  # amplitude of the receiver's own noise


class Tissues(Easel):
    """What sound meets.

    Attributes:
        echo: float64[y, x], amplitude scattered back; soft tissue is about 1, fluid about 0.02.
        loss: float64[y, x], attenuation in nepers per half of the short side.
    """

    def __init__(self, where: Field, rng: np.random.Generator) -> None:
        super().__init__(where, rng)
        self.echo: Field = np.full(self.shape, 0.6)
        self.loss: Field = np.full(self.shape, 0.35)

    def fill(self, outline: Outline, echo: float, loss: float = 0.35) -> Mask:
        """Replace the tissue inside an outline; its mask."""
        inside = outline.field <= 1.0
        self.echo[outline.window][inside] = echo
        self.loss[outline.window][inside] = loss
        return self.mask(outline)

    def line(self, outline: Outline, echo: float, width: float, loss: float | None = None) -> None:
        """A bright skin around an outline, `width` radii thick."""
        skin = np.abs(outline.field - 1.0) < width
        self.echo[outline.window][skin] = echo
        if loss is not None:
            self.loss[outline.window][skin] = loss


@dataclass(frozen=True, eq=False)
class Probe:
    """Where the beams run: straight down, or fanned out from a point above the picture.

    Attributes:
        rows, columns: float64[depth, beam], pixels the samples of the beams lie in.
        back: float64[2, y, x], (depth, beam) of each pixel.
        seen: bool[y, x], pixels the beams reach.
        step: length of a depth sample in halves of the short side.
    """

    rows: Field
    columns: Field
    back: Field
    seen: Mask
    step: float


def linear(shape: tuple[int, int], rng: np.random.Generator) -> Probe:
    """Parallel beams; a dark margin may frame the picture."""
    height, width = shape
    top, side = int(rng.integers(0, 12)), int(rng.integers(0, 16))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    seen = (y >= top) & (y < height - top) & (x >= side) & (x < width - side)
    return Probe(y, x, np.stack([y, x]), seen, 2.0 / min(shape))


def fan(shape: tuple[int, int], rng: np.random.Generator, half_deg: tuple[float, float]) -> Probe:
    """Beams from a common centre: near the skin for a phased array, far above it for a convex."""
    height, width = shape
    half = np.deg2rad(rng.uniform(*half_deg))
    inner = height * (rng.uniform(0.02, 0.08) if half_deg[0] > 33 else rng.uniform(0.15, 0.5))
    apex = (4.0 - inner * np.cos(half), width / 2 + rng.normal(0, 4))
    outer = height - 3.0 - apex[0]
    depths, beams = int(outer - inner), int(min(260, 1.2 * half * outer))
    radius = inner + np.arange(depths)[:, None]
    angle = np.linspace(-half, half, beams)[None, :]
    rows: Field = np.asarray(apex[0] + radius * np.cos(angle), dtype=np.float64)
    columns: Field = np.asarray(apex[1] + radius * np.sin(angle), dtype=np.float64)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    far = np.hypot(y - apex[0], x - apex[1])
    turn = np.arctan2(x - apex[1], y - apex[0])
    back = np.stack([far - inner, (turn / half + 1) * (beams - 1) / 2])
    seen = (far >= inner) & (far < inner + depths - 1) & (np.abs(turn) <= half)
    return Probe(rows, columns, back, seen, 2.0 / min(shape))


def sonogram(tissues: Tissues, probe: Probe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture uint8[y, x]; black where no beam runs."""
    at = np.stack([probe.rows, probe.columns])
    echo, loss = (
        map_coordinates(field, at, order=1, mode="nearest")
        for field in (tissues.echo, tissues.loss)
    )
    frequency = rng.uniform(0.7, 1.3)
    passed = np.exp(-2.0 * frequency * probe.step * np.cumsum(loss, axis=0))
    heard = _speckle(echo, rng) * passed
    depth = np.arange(len(echo))[:, None] * probe.step
    gain = np.exp(2.0 * frequency * rng.uniform(0.28, 0.42) * depth)  # time-gain compensation
    receiver = _FLOOR * rng.uniform(1, 8) * rng.rayleigh(size=echo.shape)
    decibels = 20 * np.log10((heard + receiver) * gain + 1e-6)
    # The operator sets the gain so that soft tissue is grey; what is brighter has 15 to 25 dB.
    brightest = np.quantile(decibels[::4, ::4], 0.7) + rng.uniform(14, 24)
    levels = np.clip(1 + (decibels - brightest) / rng.uniform(38, 58), 0.0, 1.0)
    picture = map_coordinates(levels, probe.back, order=1, mode="nearest")
    picture = np.where(probe.seen, picture ** rng.uniform(0.9, 1.5), 0.0)
    return np.asarray(np.rint(255 * picture), dtype=np.uint8)


def _speckle(echo: Field, rng: np.random.Generator) -> Field:
    """|scatterers spread by the pulse|: short along the beam, wider across and with depth."""
    along, across = rng.uniform(0.8, 1.5), rng.uniform(1.0, 2.2)
    parts = []
    for _ in range(2):
        scattered = gaussian_filter(echo * rng.standard_normal(echo.shape), (along, across))
        parts.append(scattered * np.sqrt(4 * np.pi * along * across))
    # Smooth interfaces that face the probe reflect as a mirror does.
    faced = np.abs(gaussian_filter1d(echo, along, axis=0, order=1))
    mirror = rng.uniform(0.6, 1.6) * gaussian_filter1d(faced, 2.0, axis=1)
    averaged = np.hypot(*parts)
    if rng.random() < 0.5:  # compounding of several directions
        averaged = 0.6 * averaged + 0.4 * gaussian_filter(averaged, (0.8, 1.2))
    return np.asarray(averaged + mirror)
