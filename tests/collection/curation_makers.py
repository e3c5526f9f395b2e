"""Small collections with planted faults for the tests of the curation report."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from stored_makers import info

from engine.collection.case import CuratedCase, Label, SourceFile
from engine.collection.ingest import ingest_cases


def texture(seed: int, size: int = 128) -> NDArray[np.uint8]:
    """uint8[size, size]: blobs of several sizes, another picture for every seed."""
    rng = np.random.default_rng(seed)
    values = sum(
        scale * ndimage.gaussian_filter(rng.normal(size=(size, size)), scale, mode="wrap")
        for scale in (2, 5, 12)
    )
    values = (values - values.min()) / np.ptp(values)
    return np.rint(255 * values).astype(np.uint8)


def jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def curated(
    name: str,
    image: NDArray[Any],
    labels: NDArray[np.uint8],
    structures: Sequence[str],
    *,
    dataset: str = "ds",
    subject: str | None = None,
    plane: str | None = None,
    modality: str = "CT",
) -> CuratedCase:
    """A case of one layer whose value k + 1 is `structures[k]`; [slice, y, x]."""
    found = np.unique(labels[0])
    meaning = [Label(0, k + 1, word) for k, word in enumerate(structures) if k + 1 in found]
    flat = plane is None and len(image) == 1
    return CuratedCase(
        dataset=dataset,
        case=name,
        subject=subject or name,
        modality=modality,
        plane=plane or ("image" if flat else "axial"),
        image=image,
        labels=labels,
        meaning=tuple(meaning),
        spacing_mm=(None, None, None) if flat else (3.0, 1.0, 0.8),
        affine=None if flat else np.diag([3.0, 1.0, 0.8, 1.0]),
        sources=(SourceFile(f"{name}.raw", f"{abs(hash(name)):064x}"),),
    )


def picture(name: str, image: NDArray[np.uint8], **more: Any) -> CuratedCase:
    """A single image with a square label."""
    labels = np.zeros((1, 1, *image.shape), np.uint8)
    labels[0, 0, 10:40, 20:60] = 1
    return curated(name, image[None], labels, ["square"], **more)


def body(name: str, *, slices: int = 6, side: int = 96, seed: int = 0, **more: Any) -> CuratedCase:
    """A noisy body in air with a left and a right organ, x ascending to the patient's left."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    inside = ((y - 48) / 36) ** 2 + ((x - 48) / 42) ** 2 <= 1
    image = rng.normal(0, 4, (slices, side, side)) + np.where(inside, 300.0, 0.0)
    image += np.where(inside, 120 * (texture(seed, side) / 255.0), 0)
    labels = np.zeros((1, slices, side, side), np.uint8)
    for at in range(slices):
        labels[0, at][(y - 48) ** 2 + (x - 68) ** 2 <= 64 + 6 * at] = 1
        labels[0, at][(y - 48) ** 2 + (x - 28) ** 2 <= 64 + 6 * at] = 2
    image[labels[0] > 0] += 150
    pixels = np.rint(image).astype(np.int16)
    return curated(name, pixels, labels, ["kidney_left", "kidney_right"], **more)


def collection(path: Path, *groups: Sequence[CuratedCase]) -> Path:
    """Ingest cases, each group a dataset."""
    for cases in groups:
        name = cases[0].dataset
        ingest_cases(info(name, content=name), list(cases), path)
    return path
