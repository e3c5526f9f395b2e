"""Six MR series of one head: which sequence shows which tissue how bright."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field
from engine.collection.phantoms.mr.brain_tissue import Kind
from engine.collection.phantoms.mr.physics import (
    Codes,
    Tissue,
    diffusion_weighted,
    gradient_echo,
    inversion_recovery,
    magnitude,
    painted,
    partial_volume,
    spin_echo,
    zero_filled,
)

SERIES = (
    ("t1w", "T1W"),
    ("t1gd", "T1-Gd"),
    ("t2w", "T2W"),
    ("flair", "T2-FLAIR"),
    ("dwi", "DW"),
    ("adc", "ADC"),
)
_B_S_MM2 = 1000.0
_LARGEST_ADC = 4000.0  # 1e-6 mm2/s


@dataclass(frozen=True, eq=False)
class Head:
    """Tissue numbers uint8[z, y, x], a mottle shared by all series, and what tissue there is."""

    codes: Codes
    grain: Field
    tissues: tuple[Tissue, ...]

    def signal(
        self, sequence: Callable[[Tissue], float], *, saturated: tuple[Kind, ...] = ()
    ) -> Field:
        """float64[z, y, x] before blur and noise; `saturated` tissue keeps a tenth."""
        signals = [sequence(tissue) for tissue in self.tissues]
        for kind in saturated:
            signals[kind] *= 0.1
        textures = [tissue.texture for tissue in self.tissues]
        return painted(self.codes, signals, textures, self.grain)


@dataclass(frozen=True, eq=False)
class Picture:
    """A series: `image` as stored, `clean` float64[z, y, x] without noise, brightest about 1."""

    name: str
    modality: str
    image: NDArray[np.generic]
    clean: Field


@dataclass(frozen=True)
class _Scan:
    """How good the scanner is: noise and shading, shared by the series of an examination."""

    noise: float
    bias: float
    blur_px: float


def pictures(head: Head, rng: np.random.Generator) -> Iterator[Picture]:
    """The series in the order of `SERIES`."""
    scan = _Scan(
        noise=float(np.exp(rng.uniform(np.log(0.008), np.log(0.055)))),
        bias=float(rng.uniform(0.02, 0.22)),
        blur_px=float(rng.uniform(0.5, 1.1)),
    )
    yield from _t1(head, scan, rng)
    te = float(rng.uniform(80, 120))
    yield _weighted(SERIES[2], head.signal(_Spin(float(rng.uniform(3500, 6000)), te)), scan, rng)
    ti = float(rng.uniform(2250, 2600))
    flair = head.signal(lambda tissue: inversion_recovery(tissue, 9000, 1.15 * te, ti))
    yield _weighted(SERIES[3], flair, scan, rng)
    yield from _diffusion(head, scan, rng)


@dataclass(frozen=True)
class _Spin:
    """A spin echo of given times, as a function of tissue."""

    tr_ms: float
    te_ms: float

    def __call__(self, tissue: Tissue) -> float:
        return spin_echo(tissue, self.tr_ms, self.te_ms)


def _t1(head: Head, scan: _Scan, rng: np.random.Generator) -> Iterator[Picture]:
    """Without and with contrast agent; some sites spoil the fat's signal in the latter."""
    sequence: Callable[[Tissue], float] = _Spin(
        float(rng.uniform(380, 650)), float(rng.uniform(9, 15))
    )
    if rng.random() < 0.4:
        tr, flip = float(rng.uniform(18, 30)), float(rng.uniform(24, 34))
        sequence = _Gradient(tr, flip)
    yield _weighted(SERIES[0], head.signal(sequence), scan, rng)
    dose = float(rng.uniform(0.6, 1.3))
    fat: tuple[Kind, ...] = (Kind.FAT, Kind.MARROW) if rng.random() < 0.35 else ()
    late = head.signal(lambda tissue: sequence(tissue.with_gadolinium(dose)), saturated=fat)
    yield _weighted(SERIES[1], late, scan, rng)


@dataclass(frozen=True)
class _Gradient:
    """A spoiled gradient echo, as a function of tissue."""

    tr_ms: float
    flip_deg: float

    def __call__(self, tissue: Tissue) -> float:
        return gradient_echo(tissue, self.tr_ms, 4.0, self.flip_deg)


def _weighted(
    series: tuple[str, str], signal: Field, scan: _Scan, rng: np.random.Generator
) -> Picture:
    """Receive one series; its own blur, noise and gain vary around the examination's."""
    blurred = partial_volume(signal, scan.blur_px * float(rng.uniform(0.85, 1.2)))
    if rng.random() < 0.3:
        blurred = zero_filled(blurred, float(rng.uniform(0.5, 0.8)))
    image = magnitude(
        blurred,
        rng,
        noise=scan.noise * float(rng.uniform(0.7, 1.4)),
        bias=scan.bias,
        gain=float(rng.uniform(300, 1200)),
    )
    stored = image if rng.random() < 0.5 else np.rint(image).astype(np.int16)
    return Picture(*series, stored, _normalised(blurred))


def _diffusion(head: Head, scan: _Scan, rng: np.random.Generator) -> Iterator[Picture]:
    """An echo-planar pair without fat, coarse and noisy, and what it says of diffusion."""
    te, share = float(rng.uniform(75, 100)), float(rng.uniform(0.42, 0.66))
    hidden = (Kind.FAT, Kind.MARROW, Kind.SKIN)
    pair = [
        zero_filled(partial_volume(_echo(head, te, b, hidden), scan.blur_px), share)
        for b in (0.0, _B_S_MM2)
    ]
    noise = 0.6 * scan.noise * float(np.quantile(pair[1][:, ::3, ::3], 0.98))
    grain = _coil_noise(pair[0].shape, noise, share, rng)
    plain, weighted = (np.abs(echo + grain()) for echo in pair)
    yield _weighted_diffusion(weighted, pair[1], scan, rng)
    yield _adc(plain, weighted, pair[0], pair[1])


def _echo(head: Head, te_ms: float, b_s_mm2: float, hidden: tuple[Kind, ...]) -> Field:
    return head.signal(
        lambda tissue: diffusion_weighted(tissue, 6000, te_ms, b_s_mm2), saturated=hidden
    )


def _coil_noise(
    shape: tuple[int, ...], noise: float, share: float, rng: np.random.Generator
) -> Callable[[], Field]:
    """Noise correlated as interpolation leaves it."""
    sigma = 0.35 / share

    def drawn() -> Field:
        white = gaussian_filter(rng.standard_normal(shape), (0.0, sigma, sigma), truncate=3.0)
        return np.asarray(noise / max(float(white.std()), 1e-9) * white, dtype=np.float64)

    return drawn


def _weighted_diffusion(
    weighted: Field, clean: Field, scan: _Scan, rng: np.random.Generator
) -> Picture:
    image = magnitude(weighted, rng, noise=0.3 * scan.noise, bias=0.5 * scan.bias, gain=400.0)
    return Picture(*SERIES[4], np.rint(image).astype(np.int16), _normalised(clean))


def _adc(plain: Field, weighted: Field, clean_plain: Field, clean_weighted: Field) -> Picture:
    """-log(S_b / S_0) / b in 1e-6 mm2/s; nothing where there is no signal to divide."""
    floor = 0.12 * float(np.quantile(plain[:, ::3, ::3], 0.9))
    image = np.where(plain > floor, _coefficient(plain, weighted, floor), 0.0)
    clean = np.where(clean_plain > floor, _coefficient(clean_plain, clean_weighted, floor), 0.0)
    stored = np.rint(image).astype(np.int16)
    return Picture(*SERIES[5], stored, clean / 3000.0)


def _coefficient(plain: Field, weighted: Field, floor: float) -> Field:
    ratio = np.maximum(plain, floor) / np.maximum(weighted, 0.02 * floor)
    return np.asarray(np.clip(1e6 / _B_S_MM2 * np.log(ratio), 0.0, _LARGEST_ADC))


def _normalised(signal: Field) -> Field:
    return signal / (float(np.quantile(signal[:, ::3, ::3], 0.98)) or 1.0)
