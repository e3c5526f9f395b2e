"""One trial again, to its masks: what a run stores as counts becomes a picture.

The trial's whole decode batch is formed again, because a decoder's answer depends on it in the
last bits; the counts must then equal the stored ones, or the replay says that they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import SlicePixels, SliceRef
from engine.errors import SamscopeError
from engine.evaluation.rows import TrialKey
from engine.evaluation.scene import Scene, Target, make_scene
from engine.evaluation.trials import Answer, Step, answer, batches, first_steps
from engine.masks import on_host
from engine.models.base import Embedding, EverythingMasks, Model
from engine.models.numerics import Numerics
from engine.prompts.base import Prompt
from engine.study import EverythingParams, Strategy, Study


@dataclass(frozen=True, eq=False)
class Replayed:
    """A trial's selected mask, recomputed.

    Attributes:
        image: uint8[y, x] or uint8[y, x, 3], as the model saw it.
        truth, mask: bool[y, x]; `mask` is empty where nothing was selected.
        prompt: what was asked.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    prompt: Prompt


class Replayer:
    """Replays trials of one slice with one model; the slice is embedded once."""

    def __init__(
        self, study: Study, model: Model, numerics: Numerics, ref: SliceRef, pixels: SlicePixels
    ) -> None:
        self._study = study
        self._model = model
        self._numerics = numerics
        self._scene: Scene = make_scene(study, ref, pixels)
        self._embedding: Embedding = model.embed([self._scene.image])[0]

    def replay(
        self, strategy: Strategy, key: TrialKey, candidate: int | None, *, tp: int, pred_px: int
    ) -> Replayed:
        """The mask of `candidate` (None: nothing was selected) of one trial.

        Args:
            tp, pred_px: as stored.

        Raises:
            SamscopeError: no such trial on this slice, or the mask has other counts than stored.
        """
        stored = {} if candidate is None else {candidate: (tp, pred_px)}
        masks, prompt = self.candidates(strategy, key, stored)
        target = self._target(key.object_id)
        mask = np.zeros_like(target.mask) if candidate is None else masks[candidate]
        if candidate is None and (tp, pred_px) != (0, 0):
            raise _differs(key, strategy, (0, 0), (tp, pred_px))
        return Replayed(self._scene.image, target.mask, mask, prompt)

    def candidates(
        self, strategy: Strategy, key: TrialKey, stored: Mapping[int, tuple[int, int]]
    ) -> tuple[dict[int, NDArray[np.bool_]], Prompt]:
        """Masks bool[y, x] of several candidates of one trial, and its prompt.

        Args:
            stored: (tp, pred_px) of each candidate that is wanted, as the run stored them.

        Raises:
            SamscopeError: as `replay`.
        """
        return self.trials(strategy, {key: stored})[key]

    def trials(
        self, strategy: Strategy, wanted: Mapping[TrialKey, Mapping[int, tuple[int, int]]]
    ) -> dict[TrialKey, tuple[dict[int, NDArray[np.bool_]], Prompt]]:
        """As `candidates`, of several trials of one strategy; trials that share a batch are decoded
        together.

        Raises:
            SamscopeError: as `replay`, for any of them.
        """
        made = self._masks(strategy, wanted)
        for key, stored in wanted.items():
            region = self._target(key.object_id).border.region
            for candidate, mask in made[key][0].items():
                counts = region.count(mask)
                if (counts.tp, counts.pred_px) != stored[candidate]:
                    raise _differs(key, strategy, (counts.tp, counts.pred_px), stored[candidate])
        return made

    def _masks(
        self, strategy: Strategy, wanted: Mapping[TrialKey, Mapping[int, Any]]
    ) -> dict[TrialKey, tuple[dict[int, NDArray[np.bool_]], Prompt]]:
        asked = [key for key, stored in wanted.items() if stored]
        found: dict[TrialKey, tuple[dict[int, NDArray[np.bool_]], Prompt]]
        found = {key: ({}, Prompt()) for key in wanted}
        if strategy.prompted:
            place = self._model.card.candidates.index
            for key, (said, prompt) in self._prompted(strategy, asked).items():
                found[key] = {c: on_host(said.masks[place(c)]) for c in wanted[key]}, prompt
        elif asked:
            made = self._everything(strategy)
            for key in asked:
                found[key] = {c: made.mask(c) for c in wanted[key]}, Prompt()
        return found

    def _target(self, object_id: str) -> Target:
        for target in self._scene.targets:
            if target.ref.object_id == object_id:
                return target
        raise SamscopeError("no such object on this slice", got=object_id)

    def _everything(self, strategy: Strategy) -> EverythingMasks:
        params = strategy.params
        if not isinstance(params, EverythingParams):
            raise SamscopeError(f"strategy '{strategy.name}' lacks the settings of Everything")
        return self._model.everything(self._embedding, params)

    def _prompted(
        self, strategy: Strategy, keys: Sequence[TrialKey]
    ) -> dict[TrialKey, tuple[Answer, Prompt]]:
        steps = [
            step
            for target in self._scene.targets
            for step in first_steps(self._study, strategy, target)
        ]
        found: dict[TrialKey, tuple[Answer, Prompt]] = {}
        for batch in batches(steps, self._scene, self._model, self._numerics):
            places = {key: at for at, step in enumerate(batch) for key in keys if _is(step, key)}
            answers = answer(self._model, self._embedding, batch) if places else []
            for key, at in places.items():
                said = answers[at]
                if isinstance(said, Exception):
                    raise said
                found[key] = said, batch[at].prompt
        missing = [key for key in keys if key not in found]
        if missing:
            raise SamscopeError("no such trial on this slice", got=missing[0])
        return found


def _differs(
    key: TrialKey, strategy: Strategy, got: tuple[int, int], stored: tuple[int, int]
) -> SamscopeError:
    return SamscopeError(
        "the replayed mask is not the one that was scored",
        where=f"{key.object_id}, {strategy.name}",
        got=f"tp {got[0]}, pred_px {got[1]}",
        expected=f"tp {stored[0]}, pred_px {stored[1]}",
        remedy="replay with the run's weights, collection and kind of machine",
    )


def _is(step: Step, key: TrialKey) -> bool:
    said: Any = step.situation
    return bool(
        said.object_id == key.object_id
        and (said.jitter_lo, said.jitter_hi, said.trial, said.step)
        == (key.jitter_lo, key.jitter_hi, key.trial, key.step)
    )
