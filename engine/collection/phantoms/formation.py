"""How an apparatus turns tissue into levels: blur, noise, shading, quantisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field, smooth_noise

_LOWEST_HU, _HIGHEST_HU = -1024, 3071


def ct(hounsfield: Field, rng: np.random.Generator, *, noise_hu: float = 16.0) -> NDArray[np.int16]:
    """A CT volume [z, y, x] in HU: in-plane blur and the grainy noise of a reconstruction."""
    blurred = gaussian_filter(hounsfield, (0.3, 0.8, 0.8))
    grain = smooth_noise(hounsfield.shape, (0.0, 0.7, 0.7), rng)
    values = np.rint(blurred + noise_hu * grain)
    levels: NDArray[np.int16] = np.clip(values, _LOWEST_HU, _HIGHEST_HU).astype(np.int16)
    return levels


def mr(
    signal: Field,
    rng: np.random.Generator,
    *,
    bias: float = 0.12,
    noise: float = 0.03,
    gain: float = 600.0,
) -> NDArray[np.float32]:
    """An MR magnitude volume [z, y, x]: blur, a smooth coil bias, Rician noise."""
    blurred = gaussian_filter(signal, (0.3, 0.7, 0.7))
    shading = np.exp(bias * smooth_noise(signal.shape, _thirds(signal.shape), rng))
    real = blurred * shading + noise * rng.standard_normal(signal.shape)
    imaginary = noise * rng.standard_normal(signal.shape)
    magnitude: NDArray[np.float32] = (gain * np.hypot(real, imaginary)).astype(np.float32)
    return magnitude


def fundus(colour: Field, aperture: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A fundus photograph [y, x, 3]: colours 0..1 seen through a round, vignetting aperture.

    Args:
        colour: float64[y, x, 3], RGB, 0..1.
        aperture: float64[y, x], distance from the optical axis in radii of the aperture.
    """
    blurred = gaussian_filter(colour, (0.7, 0.7, 0.0))
    light = (1.05 - 0.45 * aperture**2.5) * np.clip((1.0 - aperture) * 60.0, 0.0, 1.0)
    seen = blurred * light[..., None] + 0.012 * rng.standard_normal(colour.shape)
    dark = 0.012 * (aperture > 1.0)[..., None]
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(seen + dark, 0.0, 1.0)).astype(np.uint8)
    return levels


def fluorescence(
    photons: Field, rng: np.random.Generator, *, gain: float = 24.0, offset: float = 380.0
) -> NDArray[np.uint16]:
    """A fluorescence micrograph [y, x]: diffraction, out-of-focus haze, shot and read noise.

    Args:
        photons: float64[y, x], expected photons per pixel, at least 0.
    """
    sharp = gaussian_filter(photons, 1.1)
    haze = 0.22 * gaussian_filter(photons, 11.0)
    counts = rng.poisson(sharp + haze + 3.0)
    values = np.rint(offset + gain * counts + 18.0 * rng.standard_normal(photons.shape))
    levels: NDArray[np.uint16] = np.clip(values, 0, 65535).astype(np.uint16)
    return levels


def _thirds(shape: Sequence[int]) -> list[float]:
    return [n / 3 for n in shape]
