"""What a step trains on: a pure function of the seed and the step's number.

So a resumed training sees the same images, views and prompts as one that was never stopped, and
the work of a step can be dealt to any number of workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from engine.models.decoding import PromptTensors, prompt_tensors
from engine.models.numerics import prompt_batches
from engine.prompts import ObjectGeometry, Prompt
from engine.training.config import TrainingConfig
from engine.training.losses import coverage
from engine.training.prompting import draw_prompt, draw_strategies
from engine.training.samples import Sample, Shelf
from engine.training.variation import varied

T = TypeVar("T")

_PASS = 64
"""Most prompts of one decoder pass."""


@dataclass(frozen=True, eq=False)
class Pass:
    """Prompts of one shape on one image, and what their masks should be.

    Attributes:
        target: float32[n, cells, cells], covered share of each cell.
    """

    prompts: PromptTensors
    target: torch.Tensor


@dataclass(frozen=True, eq=False)
class Work:
    """One image of a step.

    Attributes:
        number: of its slice on the shelf.
        image: uint8[y, x] or uint8[y, x, 3], the view that is trained on.
    """

    number: int
    image: NDArray[np.uint8]
    passes: tuple[Pass, ...]

    @property
    def n_prompts(self) -> int:
        return sum(len(one.target) for one in self.passes)


def numbers_of(config: TrainingConfig, n_slices: int, step: int) -> list[int]:
    """Slices of a step: every epoch is a shuffle of all, and steps run across epochs."""
    first = step * config.images
    return [
        int(_shuffle(config.seed, n_slices, place // n_slices)[place % n_slices])
        for place in range(first, first + config.images)
    ]


@lru_cache(maxsize=2)
def _shuffle(seed: int, n: int, epoch: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64([seed, 1, epoch])).permutation(n)


def total_steps(config: TrainingConfig, n_slices: int) -> int:
    """Steps of the whole training."""
    if config.steps is not None:
        return config.steps
    return -(-(config.epochs or 0) * n_slices // config.images)


def make_work(
    config: TrainingConfig, shelf: Shelf, step: int, slot: int, number: int, size: tuple[int, int]
) -> Work:
    """Image `slot` of a step, ready for the network.

    Args:
        size: (input side, cells of the decoder's mask).
    """
    rng = np.random.Generator(np.random.PCG64([config.seed, 2, step, slot]))
    sample = shelf[number]
    if not config.variation.none:
        sample = varied(sample, config.variation, config.data.min_object_px, rng)
    chosen = _some(sample, config.prompts.objects, rng)
    geometries = [ObjectGeometry.from_mask(mask) for mask in chosen.masks]
    prompts: list[Prompt] = []
    objects: list[int] = []
    for name in draw_strategies(config.prompts, rng):
        for place, geometry in enumerate(geometries):
            prompts.append(draw_prompt(geometry, name, config.prompts, rng))
            objects.append(place)
    height, width = chosen.masks.shape[1:]
    target = coverage(torch.from_numpy(chosen.masks), *size)
    passes = tuple(
        Pass(
            prompt_tensors([prompts[i] for i in group], height, width, size[0], "cpu"),
            target[[objects[i] for i in group]],
        )
        for group in prompt_batches(prompts, _PASS)
    )
    return Work(number, chosen.image, passes)


def _some(sample: Sample, most: int | None, rng: np.random.Generator) -> Sample:
    """At most `most` of the objects, at random."""
    n = len(sample.masks)
    if most is None or n <= most:
        return sample
    kept = rng.choice(n, size=most, replace=False)
    ids = tuple(sample.object_ids[i] for i in kept)
    return replace(sample, masks=sample.masks[kept], object_ids=ids)


def ahead(make: Callable[[int], T], steps: range, threads: int, depth: int = 4) -> Iterator[T]:
    """`make(step)` for every step in order, prepared by threads while the caller computes."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
