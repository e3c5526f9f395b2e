"""The trials of one strategy on one slice, in the order that decode batches follow.

Evaluation and replay share this order: a decoder's answer depends on its batch in the last bits,
so the same batches must be formed again to reproduce a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.models.base import Model
from engine.models.numerics import Numerics, prompt_batches
from engine.prompts.base import Prompt
from engine.prompts.situations import PreparedSituation, next_step, situations_of
from engine.prompts.strategies import prompter
from engine.scene import Scene, Target
from engine.study import Strategy, Study


@dataclass(frozen=True)
class Step:
    """One step of one trial: a prompt to answer, and the object it is about."""

    target: Target
    situation: PreparedSituation
    prompt: Prompt


def first_steps(study: Study, strategy: Strategy, target: Target) -> list[Step]:
    """Step 0 of every (level, trial) of one object."""
    ask = prompter(strategy, study.jitter)
    return [
        Step(target, situation, ask(situation))
        for situation in situations_of(
            target.geometry, target.ref.object_id, strategy, study.jitter, study.seed
        )
    ]


def following_step(
    study: Study, strategy: Strategy, step: Step, mask: NDArray[np.bool_]
) -> Step | None:
    """The step after `step` was answered with `mask: bool[y, x]`; None when the trial is over."""
    ask = prompter(strategy, study.jitter)
    situation = next_step(step.situation, mask)
    if situation.step >= ask.steps:
        return None
    return Step(step.target, situation, ask(situation))


def batches(
    steps: Sequence[Step], scene: Scene, model: Model, numerics: Numerics
) -> Iterator[tuple[Step, ...]]:
    """Steps of one strategy cut into decode batches; the cut depends on the slice alone."""
    height, width = scene.image.shape[:2]
    size = numerics.decode_batch_for(height, width, len(model.card.candidates))
    for indices in prompt_batches([step.prompt for step in steps], size):
        yield tuple(steps[i] for i in indices)
