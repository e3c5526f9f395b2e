"""Dice on held-out subjects while training: prompts at rest, masks on the original grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from engine.masks import on_host
from engine.models.decoding import low_res_logits, prompt_tensors
from engine.models.enlarge import enlarged_masks
from engine.models.numerics import prompt_batches
from engine.models.prompt_decoder import CANDIDATE_TOKENS
from engine.prompts import ObjectGeometry, Prompt
from engine.prompts.sampling import even_indices
from engine.prompts.situations import PreparedSituation
from engine.prompts.strategies import prompter
from engine.study import Jitter, Strategy
from engine.training.config import TrainingConfig
from engine.training.network import Trainee
from engine.training.samples import Sample

T = TypeVar("T")

_MONITORED = ("point_1", "point_5_neg_5", "box")
"""Strategies of a validation, where the training draws points at all; else its own."""

SELECTIONS = ("oracle", "predicted_iou", "single")


@dataclass(frozen=True)
class Validation:
    """Mean Dice over the objects of the validation slices.

    Attributes:
        dice: strategy -> selection -> mean.
        objects: objects behind each mean.
    """

    dice: dict[str, dict[str, float]]
    objects: int

    def score(self, selection: str) -> float:
        """Mean over the strategies; what the best checkpoint is chosen by."""
        return float(np.mean([by[selection] for by in self.dice.values()]))


def validate(
    trainee: Trainee, embedded: Iterable[tuple[Sample, torch.Tensor]], strategies: list[Strategy]
) -> Validation:
    """Evaluate the network as it is.

    Args:
        embedded: slices with their embedding float[channels, h, w].
    """
    found: dict[str, list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]] = {
        strategy.name: [] for strategy in strategies
    }
    objects = 0
    with torch.inference_mode():
        for sample, features in embedded:
            objects += len(sample.masks)
            geometries = [ObjectGeometry.from_mask(mask) for mask in sample.masks]
            for strategy in strategies:
                prompts = list(_prompts(sample, geometries, strategy))
                found[strategy.name].append(_dice(trainee, sample, features, prompts))
    means = {name: np.concatenate(parts).mean(axis=0) for name, parts in found.items()}
    return Validation(
        {n: dict(zip(SELECTIONS, map(float, m), strict=True)) for n, m in means.items()}, objects
    )


def _prompts(
    sample: Sample, geometries: list[ObjectGeometry], strategy: Strategy
) -> Iterator[Prompt]:
    rule = prompter(strategy, Jitter())
    for geometry, name in zip(geometries, sample.object_ids, strict=True):
        yield rule(
            PreparedSituation(
                truth=geometry.mask, object_id=name, strategy=strategy.name, geometry=geometry
            )
        )


def _dice(
    trainee: Trainee, sample: Sample, features: torch.Tensor, prompts: list[Prompt]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """float64[n, 3]: Dice of each object by selection."""
    height, width = sample.masks.shape[1:]
    size = trainee.config.input_size
    out = np.zeros((len(prompts), len(SELECTIONS)))
    for group in prompt_batches(prompts, 16):
        tensors = prompt_tensors([prompts[i] for i in group], height, width, size, trainee.device)
        with trainee.precision():
            logits, iou = low_res_logits(trainee.network, features[None], tensors)
        candidates = logits[:, CANDIDATE_TOKENS].float()
        on_device = candidates.device.type != "cpu"
        masks = on_host(enlarged_masks(candidates, height, width, size, on_device=on_device))
        truth = sample.masks[group][:, None]
        tp = (masks & truth).sum(axis=(2, 3))
        dice = 2 * tp / (masks.sum(axis=(2, 3)) + truth.sum(axis=(2, 3)))
        chosen = iou[:, 1:].float().argmax(dim=1).cpu().numpy()
        out[group, 0] = dice[:, :3].max(axis=1)
        out[group, 1] = dice[np.arange(len(group)), chosen]
        out[group, 2] = dice[:, 3]
    return out


def monitored(config: TrainingConfig) -> list[Strategy]:
    """Strategies a training is validated by."""
    names = tuple(config.prompts.strategies)
    if config.kind == "pretrain":
        names = tuple(n for n in _MONITORED if n in names) or names
    return [config.prompts.strategy(name) for name in names]


def evenly(members: tuple[T, ...], most: int | None) -> tuple[T, ...]:
    """At most `most`, spread evenly over the sorted slices."""
    n = len(members)
    if most is None or n <= most:
        return members
    return tuple(members[place] for place in even_indices(n, most))
