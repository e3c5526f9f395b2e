"""Three ways through the prompted trials of a slice; each adds its seconds to a clock, by stage.

- `samscope_way`: as an evaluator does it: all candidates, picks, distances in pixels and mm, rows.
- `plain_way`: as a script around SamPredictor and MedPy does it. `set_image` once per slice,
  `predict` once per prompt, Dice of three candidates, and Hausdorff, HD95 and ASSD of the two picks
  by distance transforms of the whole slice. No single-mask token, NSD, millimetres or rows: less
  work.
- `floor_way`: segment_anything's own modules on the same prompts, grouped alike; neither enlarging
  nor scoring.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from engine.bench.work import Mask, Work
from engine.evaluate import Evaluator
from engine.models.decoding import low_res_logits, prompt_tensors
from engine.models.numerics import deterministic, prompt_batches
from engine.models.plain import PlainSam
from engine.models.sam import SamModel

FLOOR_BATCH = 64
"""Prompts that the floor decodes at once."""


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the block's wall time to `stage`."""
        started = perf_counter()
        try:
            yield
        finally:
            self.add(stage, perf_counter() - started)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds measured elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def samscope_way(clock: Clock, evaluator: Evaluator, work: Work) -> None:
    """The evaluator's own clock says what is embedding, decoding and scoring."""
    with clock.time("all"):
        cells = evaluator.evaluate(work.task, [work.pixels])
    for cell in cells:
        for stage, seconds in cell.seconds.items():
            clock.add(stage, seconds)


def plain_way(clock: Clock, sam: PlainSam, work: Work) -> None:
    """One prompt at a time."""
    with clock.time("all"):
        with clock.time("embed"):
            sam.look_at(work.scene.image)
        for prompts, truths in zip(work.prompts, work.truths, strict=True):
            for prompt, truth in zip(prompts, truths, strict=True):
                with clock.time("decode"):
                    logits, iou = sam.predict(prompt, multimask=True)
                    masks = logits > 0
                with clock.time("score"):
                    plain_scores(masks, iou, truth)


def plain_scores(masks: Mask, iou: NDArray[np.float32], truth: Mask) -> list[tuple[float, ...]]:
    """(Dice, Hausdorff, HD95, ASSD) of the best by Dice and of the model's own choice."""
    dice = [2 * np.sum(m & truth) / (np.sum(m) + np.sum(truth)) for m in masks]
    scores: list[tuple[float, ...]] = []
    for pick in sorted({int(np.argmax(dice)), int(np.argmax(iou))}):
        mask = masks[pick]
        if mask.any():
            hausdorff = max(_surface(mask, truth).max(), _surface(truth, mask).max())
            both = np.hstack([_surface(mask, truth), _surface(truth, mask)])
            assd = (_surface(mask, truth).mean() + _surface(truth, mask).mean()) / 2
            scores.append((float(dice[pick]), hausdorff, float(np.percentile(both, 95)), assd))
    return scores


def _surface(a: Mask, b: Mask) -> NDArray[np.float64]:
    """Distance of each border pixel of `a` to the border of `b`; made anew for each metric."""
    borders = [m ^ binary_erosion(m) for m in (a, b)]
    field: NDArray[np.float64] = distance_transform_edt(~borders[1])[borders[0]]
    return field


def floor_way(clock: Clock, model: SamModel, work: Work) -> None:
    """The networks alone."""
    height, width = work.scene.image.shape[:2]
    size, device = model.card.input_size, model.device
    with deterministic(device), clock.time("all"):
        with clock.time("embed"):
            frame = torch.zeros((1, 3, size, size), device=device)
            features = model.network.image_encoder(frame)
        for prompts in work.prompts:
            for group in prompt_batches(prompts, FLOOR_BATCH):
                some = [prompts[i] for i in group]
                with clock.time("decode"):
                    asked = prompt_tensors(some, height, width, size, device)
                    low_res_logits(model.network, features, asked)
