"""Images, prompts and models the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.ndimage
import torch
import yaml
from numpy.typing import NDArray

from engine.models.base import Image
from engine.models.network import NetworkConfig
from engine.prompts.base import Box, Point, Prompt
from engine.study import ModelChoice

MINIATURE = {
    "input_size": 64,
    "patch_size": 16,
    "encoder": {"width": 16, "depth": 2, "heads": 2, "global_blocks": [1], "window": 2},
    "decoder": {"width": 16, "heads": 2, "mlp_width": 32, "iou_width": 16},
}
"""The smallest sensible SAM, for tests that build many."""


def miniature() -> NetworkConfig:
    return NetworkConfig.model_validate(MINIATURE)


def write_yaml(path: Path, fields: dict[str, object]) -> str:
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return str(path)


def miniature_yaml(folder: Path, **more: object) -> str:
    fields = {"kind": "sam", "network": MINIATURE, **more}
    return write_yaml(folder / "miniature.yaml", fields)


def chosen(model: str, **more: object) -> ModelChoice:
    return ModelChoice.model_validate({"name": "m", "model": model, **more})


@contextmanager
def one_thread() -> Iterator[None]:
    """What the library needs to be comparable to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def smooth_image(shape: tuple[int, ...], seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).random(shape)
    values = scipy.ndimage.gaussian_filter(noise, (6, 6) + (0,) * (len(shape) - 2))
    return np.rint(255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)


def as_rgb(image: Image) -> NDArray[np.uint8]:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def random_prompts(
    rng: np.random.Generator, n: int, points: int, box: bool, height: int, width: int
) -> list[Prompt]:
    """`n` prompts of one shape; the first point of each is positive, later ones either."""
    prompts = []
    for _ in range(n):
        xy = zip(rng.integers(0, width, points), rng.integers(0, height, points), strict=True)
        clicks = tuple(
            Point(int(x), int(y), k == 0 or bool(rng.random() < 0.5)) for k, (x, y) in enumerate(xy)
        )
        x0, x1 = sorted(rng.integers(0, width, 2).tolist())
        y0, y1 = sorted(rng.integers(0, height, 2).tolist())
        prompts.append(Prompt(clicks, Box(x0, y0, x1, y1) if box else None))
    return prompts
