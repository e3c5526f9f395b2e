"""How far a model's fast path is from asking it the plain way, trial by trial.

Precision and arrangement move last bits; a study should know by how much. Every prompted trial of
some slices is answered both ways: by the model as a run does it, and by segment_anything's
predictor in float32, one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.evaluation.scene import Scene
from engine.evaluation.trials import Answer, answer, batches, first_steps
from engine.masks import on_host
from engine.models.numerics import Numerics
from engine.models.plain import PlainAnswer, PlainSam
from engine.models.sam import SamModel
from engine.scoring.counts import TruthRegion
from engine.scoring.selection import select
from engine.study import Study

PREDICTED_IOU_SLACK = 1e-4
"""Two predicted IoUs nearer than this may be told apart differently."""


@dataclass(frozen=True)
class TrialParity:
    """One trial answered both ways; four candidates.

    Attributes:
        pixels: compared, over all candidates.
        flipped: pixels in one mask only; `beyond`: of them, more than rounding explains.
        dice_difference: fast minus plain, of the mask each way selects by predicted IoU.
        largest: largest |Dice difference| of a candidate.
        other_picks: selections (of three) that differ; `unexplained`: of them, not by a tie that
            pixels which round, or a last digit of the predicted IoU, can turn.
    """

    pixels: int
    flipped: int
    beyond: int
    dice_difference: float
    largest: float
    other_picks: int
    unexplained: int


def compare(
    study: Study, model: SamModel, plain: PlainSam, numerics: Numerics, scene: Scene
) -> Iterator[TrialParity]:
    """Every prompted first-step trial of a slice, both ways.

    Raises:
        SamscopeError: a trial the model could not answer.
    """
    plain.look_at(scene.image)
    embedding = model.embed([scene.image])[0]
    for strategy in study.strategies_of(next(m for m in study.models if m.name == model.card.name)):
        if not strategy.prompted:
            continue
        steps = [s for target in scene.targets for s in first_steps(study, strategy, target)]
        for batch in batches(steps, scene, model, numerics):
            for step, said in zip(batch, answer(model, embedding, batch), strict=True):
                if isinstance(said, Exception):
                    raise SamscopeError(
                        "a trial failed, so there is nothing to compare",
                        where=f"{step.target.ref.object_id}, {strategy.name}",
                        got=said,
                        remedy="samscope evaluate records such trials as failures and goes on",
                    ) from said
                yield compare_trial(step.target.border.region, said, plain.answer(step.prompt))


def compare_trial(region: TruthRegion, fast: Answer, plain: PlainAnswer) -> TrialParity:
    """One trial, both ways; `region` is its object's."""
    gt_px, masks = region.gt_px, on_host(fast.masks)
    differ, rounds = masks != plain.masks, plain.rounds()
    counts = [region.count_all(each) for each in (masks, plain.masks)]
    dice = [2 * tp / (pred_px + gt_px) for tp, pred_px in counts]
    picks = [
        select(range(4), tp.tolist(), pred_px.tolist(), iou.tolist(), gt_px)
        for (tp, pred_px), iou in zip(
            counts, (fast.predicted_iou, plain.predicted_iou), strict=True
        )
    ]
    # By how much pixels that round can move a candidate's Dice: tp and pred_px by one for each.
    reach = 2 * (differ & rounds).sum(axis=(1, 2)) / (counts[1][1] + gt_px)
    slack = {"oracle": float(2 * reach.max()), "predicted_iou": PREDICTED_IOU_SLACK}
    by: dict[str, NDArray[np.floating]] = {
        "oracle": dice[1],
        "predicted_iou": plain.predicted_iou,
    }
    other = [name for name in picks[0] if picks[0][name] != picks[1][name]]
    apart = {n: abs(float(by[n][picks[0][n]]) - float(by[n][picks[1][n]])) for n in other}
    chosen = [way["predicted_iou"] for way in picks]
    return TrialParity(
        pixels=int(differ.size),
        flipped=int(differ.sum()),
        beyond=int((differ & ~rounds).sum()),
        dice_difference=float(dice[0][chosen[0]] - dice[1][chosen[1]]),
        largest=float(np.abs(dice[0] - dice[1]).max()),
        other_picks=len(other),
        unexplained=sum(apart[name] > slack[name] for name in other),
    )
