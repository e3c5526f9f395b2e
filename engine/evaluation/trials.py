"""The trials of one strategy on one slice, in the order that decode batches follow.

Evaluation and replay share this order: a decoder's answer depends on its batch in the last bits,
so the same batches must be formed again to reproduce a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.evaluation.scene import Scene, Target
from engine.masks import Masks, on_host
from engine.models.base import Embedding, Model
from engine.models.numerics import Numerics, out_of_memory, prompt_batches
from engine.prompts.base import Prompt
from engine.prompts.situations import PreparedSituation, next_step, situations_of
from engine.prompts.strategies import prompter
from engine.study import Strategy, Study

SMALLER_BATCH = "smaller_batch"
"""Note of a trial that was encoded or decoded in a smaller batch: the whole one did not fit."""


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


def following_step(study: Study, strategy: Strategy, step: Step, mask: Masks) -> Step | None:
    """The step after `step` was answered with `mask: bool[y, x]`; None when the trial is over.

    A mask on a device is copied only where a step follows, because a prompter sees it.
    """
    ask = prompter(strategy, study.jitter)
    if step.situation.step + 1 >= ask.steps:
        return None
    situation = next_step(step.situation, on_host(mask))
    return Step(step.target, situation, ask(situation))


def batches(
    steps: Sequence[Step], scene: Scene, model: Model, numerics: Numerics
) -> Iterator[tuple[Step, ...]]:
    """Steps of one strategy cut into decode batches; the cut depends on the slice alone."""
    height, width = scene.image.shape[:2]
    size = numerics.decode_batch_for(height, width, len(model.card.candidates))
    for indices in prompt_batches([step.prompt for step in steps], size):
        yield tuple(steps[i] for i in indices)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model said to one step, or the error instead.

    Attributes:
        masks: bool[c, y, x], in the order of the model's candidates, where the model left them.
        predicted_iou: float32[c].
        notes: codes for what was unusual about the answering.
    """

    masks: Masks
    predicted_iou: NDArray[np.float32]
    notes: tuple[str, ...] = ()


def answer(model: Model, embedding: Embedding, batch: Sequence[Step]) -> list[Answer | Exception]:
    """Decode a batch; one answer or error per step.

    A batch that does not fit into memory is halved, and its answers say so: with another shape
    their last bits may be others. When it fails for another reason, every step is asked again
    alone, in its place in a batch of the same shape filled with its own prompt, so that only the
    guilty ones fail.
    """
    prompts = [step.prompt for step in batch]
    try:
        return list(_decode(model, embedding, prompts))
    except Exception as problem:  # noqa: BLE001  a prompt must not stop its neighbours
        if len(batch) == 1:
            return [problem]
        too_large = out_of_memory(problem)
    # Outside of the handler: an exception holds on to all that its frames had on the device.
    if too_large:
        half = len(batch) // 2
        halves = answer(model, embedding, batch[:half]) + answer(model, embedding, batch[half:])
        return [said if isinstance(said, Exception) else _noted(said) for said in halves]
    return [_alone(model, embedding, prompts, place) for place in range(len(prompts))]


def _noted(said: Answer) -> Answer:
    return replace(said, notes=(SMALLER_BATCH,))


def _alone(
    model: Model, embedding: Embedding, prompts: Sequence[Prompt], place: int
) -> Answer | Exception:
    try:
        return _decode(model, embedding, [prompts[place]] * len(prompts))[place]
    except Exception as problem:  # noqa: BLE001  see `answer`
        return problem


def _decode(model: Model, embedding: Embedding, prompts: Sequence[Prompt]) -> list[Answer]:
    said = model.decode(embedding, prompts)
    if not len(said.masks) == len(said.predicted_iou) == len(prompts):
        raise SamscopeError(
            "the model answered another number of prompts than it was asked",
            where=model.card.name,
            got=len(said.masks),
            expected=len(prompts),
        )
    notes = (SMALLER_BATCH,) if embedding.smaller_batch else ()
    return [Answer(said.masks[i], said.predicted_iou[i], notes) for i in range(len(prompts))]
