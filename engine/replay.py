"""One trial again, to its masks: what a run stores as counts becomes a picture.

The trial's whole decode batch is formed again, because a decoder's answer depends on it in the
last bits; the counts must then equal the stored ones, or the replay says that they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import SlicePixels, SliceRef
from engine.errors import SamscopeError
from engine.masks import on_host
from engine.models.base import Embedding, Model
from engine.models.numerics import Numerics
from engine.prompts.base import Prompt
from engine.rows import TrialKey
from engine.scene import Scene, Target, make_scene
from engine.study import EverythingParams, Strategy, Study
from engine.trials import Step, answer, batches, first_steps


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
        target = self._target(key.object_id)
        mask, prompt = np.zeros_like(target.mask), Prompt()
        if not strategy.prompted:
            mask = mask if candidate is None else self._everything(strategy, candidate)
        elif candidate is not None:
            mask, prompt = self._prompted(strategy, key, candidate)
        counts = target.border.region.count(mask)
        if (counts.tp, counts.pred_px) != (tp, pred_px):
            raise SamscopeError(
                "the replayed mask is not the one that was scored",
                where=f"{key.object_id}, {strategy.name}",
                got=f"tp {counts.tp}, pred_px {counts.pred_px}",
                expected=f"tp {tp}, pred_px {pred_px}",
                remedy="replay with the run's weights, collection and kind of machine",
            )
        return Replayed(self._scene.image, target.mask, mask, prompt)

    def _target(self, object_id: str) -> Target:
        for target in self._scene.targets:
            if target.ref.object_id == object_id:
                return target
        raise SamscopeError("no such object on this slice", got=object_id)

    def _everything(self, strategy: Strategy, candidate: int) -> NDArray[np.bool_]:
        params = strategy.params
        if not isinstance(params, EverythingParams):
            raise SamscopeError(f"strategy '{strategy.name}' lacks the settings of Everything")
        return self._model.everything(self._embedding, params).mask(candidate)

    def _prompted(
        self, strategy: Strategy, key: TrialKey, candidate: int
    ) -> tuple[NDArray[np.bool_], Prompt]:
        steps = [
            step
            for target in self._scene.targets
            for step in first_steps(self._study, strategy, target)
        ]
        for batch in batches(steps, self._scene, self._model, self._numerics):
            for index, step in enumerate(batch):
                if _is(step, key):
                    said = answer(self._model, self._embedding, batch)[index]
                    if isinstance(said, Exception):
                        raise said
                    place = self._model.card.candidates.index(candidate)
                    return on_host(said.masks[place]), step.prompt
        raise SamscopeError("no such trial on this slice", got=key)


def _is(step: Step, key: TrialKey) -> bool:
    said: Any = step.situation
    return bool(
        said.object_id == key.object_id
        and (said.jitter_lo, said.jitter_hi, said.trial, said.step)
        == (key.jitter_lo, key.jitter_hi, key.trial, key.step)
    )
