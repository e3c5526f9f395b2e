"""One slice, one model, one strategy: prompts out, scored rows back.

Failures stay where they happen: a batch that cannot be decoded or a trial that cannot be scored
becomes failed rows with a reason, and its neighbours go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from engine.errors import UserError
from engine.evaluation.rows import (
    CellRows,
    TrialKey,
    fail_object,
    failed_row,
    selection_names,
    trial_row,
)
from engine.evaluation.scene import Scene, Target
from engine.evaluation.trials import (
    SMALLER_BATCH,
    Answer,
    Step,
    answer,
    batches,
    first_steps,
    following_step,
)
from engine.models.base import SINGLE, Embedding, EverythingMasks, Model
from engine.models.numerics import Numerics
from engine.prompts.base import Prompt
from engine.scoring.everything import EverythingScorer
from engine.scoring.rows import EverythingScores, TrialScores
from engine.scoring.score import score_batch
from engine.study import EverythingParams, Strategy, Study


@dataclass(frozen=True, eq=False)
class FanOut:
    """One strategy of one model on one slice, from the slice's one embedding."""

    study: Study
    strategy: Strategy
    model: Model
    numerics: Numerics
    scene: Scene
    rows: CellRows

    def run(self, embedding: Embedding) -> None:
        """Append every trial on this slice, done or failed, to `rows`."""
        mark = self.rows.mark()
        try:
            if self.strategy.prompted:
                self._prompted(embedding)
            else:
                self._everything(embedding)
        except Exception as problem:  # noqa: BLE001  a strategy must not stop the others
            self.rows.forget_after(mark)
            self.fail_slice("evaluate", problem)

    def fail_slice(self, stage: str, problem: Exception) -> None:
        """Fail every trial on this slice."""
        for target in self.scene.targets:
            self._fail_object(target, stage, problem)

    def _prompted(self, embedding: Embedding) -> None:
        steps: list[Step] = []
        for target in self.scene.targets:
            try:
                with self.rows.timed("prompt"):
                    steps += first_steps(self.study, self.strategy, target)
            except Exception as problem:  # noqa: BLE001  an object must not stop the others
                self._fail_object(target, "prompt", problem)
        while steps:
            following: list[Step] = []
            for batch in batches(steps, self.scene, self.model, self.numerics):
                following += self._batch(embedding, batch)
            steps = following

    def _batch(self, embedding: Embedding, batch: tuple[Step, ...]) -> list[Step]:
        """Decode and score one batch; returns the steps that follow from it."""
        with self.rows.timed("decode"):
            answers = answer(self.model, embedding, batch)
        answered: list[tuple[Step, Answer]] = []
        for step, said in zip(batch, answers, strict=True):
            if isinstance(said, Exception):
                self._fail_step(step, "decode", said)
            else:
                answered.append((step, said))
        return self._score(answered)

    def _score(self, answered: Sequence[tuple[Step, Answer]]) -> list[Step]:
        """Score what was answered, all together; returns the steps that follow."""
        with self.rows.timed("score"):
            scored = score_batch(
                [step.target.border for step, _ in answered],
                [said.masks for _, said in answered],
                [said.predicted_iou for _, said in answered],
                self.model.card.candidates,
            )
        following = []
        for (step, said), scores in zip(answered, scored, strict=True):
            try:
                if isinstance(scores, Exception):
                    raise scores
                after = self._scored(step, said, scores)
            except Exception as problem:  # noqa: BLE001  a trial must not stop the others
                self._fail_step(step, "score", problem)
                continue
            following += [after] if after is not None else []
        return following

    def _scored(self, step: Step, said: Answer, scores: TrialScores) -> Step | None:
        """Append the row of one trial's step; returns the step that follows."""
        # The next step reacts to the mask a user would be shown: the model's own choice.
        shown = next(s for s in scores.selections if s.selection == "predicted_iou").candidate
        names = self.model.card.candidates
        mask = said.masks[names.index(SINGLE if shown is None else shown)]
        with self.rows.timed("prompt"):
            after = following_step(self.study, self.strategy, step, mask)
        row = trial_row(
            self.rows,
            _key(step),
            prompt=step.prompt,
            candidates=[asdict(candidate) for candidate in scores.candidates],
            selections=scores.selections,
            n_candidates=len(scores.candidates),
            notes=said.notes,
        )
        self.rows.tables["trials"].append(row)
        return after

    def _everything(self, embedding: Embedding) -> None:
        params = self.strategy.params
        if not isinstance(params, EverythingParams):
            raise UserError(f"strategy '{self.strategy.name}' lacks the settings of Everything")
        try:
            with self.rows.timed("decode"):
                masks = self.model.everything(embedding, params)
        except Exception as problem:  # noqa: BLE001  a slice must not stop the others
            self.fail_slice("decode", problem)
            return
        try:
            with self.rows.timed("score"):
                scorer = self._slice_candidates(masks)
        except Exception as problem:  # noqa: BLE001  a slice must not stop the others
            self.fail_slice("score", problem)
            return
        with self.rows.timed("score"):
            points = [target.geometry.positives(1)[0] for target in self.scene.targets]
            scored = scorer.score_all(
                [target.border for target in self.scene.targets],
                [(point.x, point.y) for point in points],
            )
        for target, scores in zip(self.scene.targets, scored, strict=True):
            if isinstance(scores, Exception):
                self._fail_object(target, "score", scores)
            else:
                self._everything_object(target, scores, masks)

    def _slice_candidates(self, masks: EverythingMasks) -> EverythingScorer:
        scorer = EverythingScorer.from_masks(masks)
        ids = {"slice_id": self.scene.ref.slice_id, **self._cell()}
        self.rows.tables["slice_candidates"] += [ids | asdict(row) for row in scorer.rows()]
        return scorer

    def _everything_object(
        self, target: Target, scores: EverythingScores, masks: EverythingMasks
    ) -> None:
        row = trial_row(
            self.rows,
            TrialKey(target.ref.object_id, target.border.gt_px),
            prompt=Prompt(),
            candidates=[],
            selections=scores.selections,
            n_candidates=len(masks),
            notes=(SMALLER_BATCH,) if masks.smaller_batch else (),
        )
        ids = {"object_id": target.ref.object_id, **self._cell()}
        self.rows.tables["trials"].append(row)
        self.rows.tables["overlaps"] += [ids | asdict(overlap) for overlap in scores.overlaps]

    def _fail_object(self, target: Target, stage: str, problem: Exception) -> None:
        fail_object(
            self.rows, self.study, self.strategy, self.model.card, self.scene.ref.slice_id,
            target.ref, stage, problem,
        )  # fmt: skip

    def _fail_step(self, step: Step, stage: str, problem: Exception) -> None:
        names = selection_names(self.strategy, self.model.card)
        self.rows.tables["trials"].append(failed_row(self.rows, _key(step), step.prompt, names))
        object_id = step.target.ref.object_id
        self.rows.add_failure(self.scene.ref.slice_id, object_id, stage, problem, 1)

    def _cell(self) -> dict[str, str]:
        return {"model": self.rows.planned.cell.model, "strategy": self.strategy.name}


def _key(step: Step) -> TrialKey:
    said = step.situation
    return TrialKey(
        said.object_id,
        step.target.border.gt_px,
        said.jitter_lo,
        said.jitter_hi,
        said.trial,
        said.step,
    )
