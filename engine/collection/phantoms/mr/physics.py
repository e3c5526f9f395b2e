"""What makes tissue an MR picture: signal equations, coil shading, partial volume, Rician noise.

Tissue is a map of numbers; a sequence gives every number a signal (`painted`), `partial_volume`
and `zero_filled` lose detail as an acquisition does, and `magnitude` receives it with a coil.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Tissue:
    """What a sequence can see of a tissue.

    Attributes:
        pd: proton density, 1 is water.
        t1_ms, t2_ms: relaxation times.
        adc: apparent diffusion coefficient, 1e-3 mm2/s.
        uptake_per_s: relaxation rate 1/T1 gained after gadolinium.
        texture: relative standard deviation of its signal from place to place.
    """

    pd: float
    t1_ms: float
    t2_ms: float
    adc: float = 1.0
    uptake_per_s: float = 0.0
    texture: float = 0.02

    def varied(self, rng: np.random.Generator, spread: float = 0.07) -> Tissue:
        """The same tissue in another person."""
        pd, t1, t2, adc, uptake = np.exp(spread * rng.standard_normal(5))
        return Tissue(
            self.pd * float(pd) ** 0.4,
            self.t1_ms * float(t1),
            self.t2_ms * float(t2),
            self.adc * float(adc),
            self.uptake_per_s * float(uptake) ** 2,
            self.texture,
        )

    def with_gadolinium(self, dose: float = 1.0) -> Tissue:
        """The tissue after contrast agent: a shorter T1 where the agent leaks or flows."""
        rate = 1.0 / self.t1_ms + dose * self.uptake_per_s / 1000.0
        return replace(self, t1_ms=1.0 / rate)


AIR = Tissue(0.0, 1000.0, 10.0, 0.0, 0.0, 0.0)


def spin_echo(tissue: Tissue, tr_ms: float, te_ms: float) -> float:
    """PD (1 - exp(-TR/T1)) exp(-TE/T2)."""
    recovered = 1.0 - np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.pd * recovered * np.exp(-te_ms / tissue.t2_ms))


def inversion_recovery(tissue: Tissue, tr_ms: float, te_ms: float, ti_ms: float) -> float:
    """PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2): FLAIR, late enhancement."""
    recovered = 1.0 - 2.0 * np.exp(-ti_ms / tissue.t1_ms) + np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.pd * abs(recovered) * np.exp(-te_ms / tissue.t2_ms))


def gradient_echo(tissue: Tissue, tr_ms: float, te_ms: float, flip_deg: float) -> float:
    """A spoiled gradient echo: PD sin a (1 - E1) / (1 - E1 cos a) exp(-TE/T2)."""
    angle, e1 = np.deg2rad(flip_deg), np.exp(-tr_ms / tissue.t1_ms)
    steady = np.sin(angle) * (1.0 - e1) / (1.0 - e1 * np.cos(angle))
    return float(tissue.pd * steady * np.exp(-te_ms / tissue.t2_ms))


def balanced_echo(tissue: Tissue, tr_ms: float, flip_deg: float) -> float:
    """Balanced steady state: PD sin a (1 - E1) / (1 - (E1 - E2) cos a - E1 E2), echo at TR/2."""
    angle = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-tr_ms / tissue.t1_ms), np.exp(-tr_ms / tissue.t2_ms)
    steady = np.sin(angle) * (1.0 - e1) / (1.0 - (e1 - e2) * np.cos(angle) - e1 * e2)
    return float(tissue.pd * steady * np.sqrt(e2))


def diffusion_weighted(tissue: Tissue, tr_ms: float, te_ms: float, b_s_mm2: float) -> float:
    """A spin echo whose signal falls with exp(-b ADC)."""
    return spin_echo(tissue, tr_ms, te_ms) * float(np.exp(-b_s_mm2 * tissue.adc / 1000.0))


def painted(
    codes: Codes, signals: Sequence[float], textures: Sequence[float], grain: Field
) -> Field:
    """float64[z, y, x]: the signal of each voxel's tissue, mottled by its texture.

    Args:
        codes: uint8[z, y, x], index into `signals` and `textures`.
        grain: float64[z, y, x] of standard deviation 1; equal for all series of a subject.
    """
    mottled = 1.0 + np.asarray(textures)[codes] * grain
    return np.asarray(np.asarray(signals)[codes] * np.clip(mottled, 0.0, None), dtype=np.float64)


def partial_volume(signal: Field, blur_px: float, across: float = 0.0) -> Field:
    """Mixing of neighbouring tissue within a voxel: blur in the plane and `across` slices."""
    sigma = (across, blur_px, blur_px)[-signal.ndim :]
    return np.asarray(gaussian_filter(signal, sigma, truncate=3.0), dtype=np.float64)


def zero_filled(signal: Field, share: float) -> Field:
    """A coarser acquisition interpolated to the same grid: the middle `share` of k-space.

    The cut is softened (a Tukey window), so edges ring as in a scanner's pictures, not worse.
    """
    rows, columns = signal.shape[-2:]
    window = np.outer(_tukey(np.fft.fftfreq(rows), share), _tukey(np.fft.rfftfreq(columns), share))
    kept = np.fft.rfft2(signal) * window
    return np.asarray(np.fft.irfft2(kept, s=(rows, columns)), dtype=np.float64)


def _tukey(frequency: NDArray[np.floating], share: float) -> Field:
    """1 up to 70 % of the kept band, then falling as a cosine to 0 at its end."""
    position = np.abs(frequency) / (0.5 * share)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip((position - 0.7) / 0.3, 0.0, 1.0)))


def shading(shape: Sequence[int], rng: np.random.Generator, strength: float) -> Field:
    """float64[y, x] around 1: a smooth quadratic coil profile; `strength` is its log's std."""
    y, x = np.ogrid[-1.0 : 1.0 : shape[-2] * 1j, -1.0 : 1.0 : shape[-1] * 1j]
    c = rng.standard_normal(5)
    log = c[0] * x + c[1] * y + 0.8 * (c[2] * x * y + c[3] * x**2 + c[4] * y**2)
    log = log - log.mean()
    return np.asarray(np.exp(strength * log / max(float(log.std()), 1e-6)), dtype=np.float64)


def magnitude(
    signal: Field,
    rng: np.random.Generator,
    *,
    noise: float = 0.03,
    bias: float = 0.12,
    gain: float = 600.0,
) -> NDArray[np.float32]:
    """The magnitude picture a coil receives: shading, complex noise (Rician), gain.

    Args:
        signal: float64[..., y, x], any scale.
        noise: standard deviation of each channel as a share of the signal's 98th percentile.
        bias: standard deviation of the logarithm of the coil's profile.
        gain: level of that percentile in the picture.
    """
    scale = float(np.quantile(signal[..., ::3, ::3], 0.98)) or 1.0
    seen = signal / scale * shading(signal.shape, rng, bias)
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = noise * rng.standard_normal(signal.shape, dtype=np.float32)
    picture: NDArray[np.float32] = (gain * np.hypot(seen + noise * real, imaginary)).astype(
        np.float32
    )
    return picture
