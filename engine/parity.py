"""How far a model's fast path is from asking it the plain way, trial by trial.

Precision and arrangement move last bits; a study should know by how much. Every trial of some
slices is answered both ways: by the model as a run does it, and by segment_anything's predictor in
float32, one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.models.numerics import Numerics
from engine.models.plain import PlainAnswer, PlainSam
from engine.models.sam import SamModel
from engine.scene import Scene
from engine.scoring.counts import TruthRegion
from engine.scoring.selection import select
from engine.study import Strategy, Study
from engine.trials import Answer, Step, answer, batches, first_steps

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
        excess: candidates whose Dice differs by more than their flipped pixels explain.
        other_picks: selections (of three) that differ; `unexplained`: of them, not by a near tie.
    """

    strategy: str
    pixels: int
    flipped: int
    beyond: int
    dice_difference: float
    largest: float
    excess: int
    other_picks: int
    unexplained: int


def compare(
    study: Study, model: SamModel, plain: PlainSam, numerics: Numerics, scene: Scene
) -> Iterator[TrialParity]:
    """Every prompted first-step trial of a slice, both ways.

    Raises:
        SamscopeError: whatever the model could not answer.
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
                    raise said
                yield _trial(strategy, step, said, plain.answer(step.prompt))


def _trial(strategy: Strategy, step: Step, fast: Answer, plain: PlainAnswer) -> TrialParity:
    region, gt_px = step.target.border.region, step.target.border.gt_px
    differ = fast.masks != plain.masks
    flipped = differ.sum(axis=(1, 2))
    counts = [_counts(region, masks) for masks in (fast.masks, plain.masks)]
    dice = [2 * tp / (pred_px + gt_px) for tp, pred_px in counts]
    gaps = np.abs(dice[0] - dice[1])
    # tp and pred_px each move by at most the pixels that flipped.
    reach = 2 * flipped / (np.minimum(counts[0][1], counts[1][1]) + gt_px)
    picks = [
        select(range(4), tp.tolist(), pred_px.tolist(), iou.tolist(), gt_px)
        for (tp, pred_px), iou in zip(
            counts, (fast.predicted_iou, plain.predicted_iou), strict=True
        )
    ]
    other = [name for name in picks[0] if picks[0][name] != picks[1][name]]
    slack = {"oracle": float(2 * reach.max()), "predicted_iou": PREDICTED_IOU_SLACK}
    by: dict[str, NDArray[np.floating]] = {
        "oracle": dice[1],
        "predicted_iou": plain.predicted_iou,
    }
    chosen = [way["predicted_iou"] for way in picks]
    return TrialParity(
        strategy=strategy.name,
        pixels=int(differ.size),
        flipped=int(flipped.sum()),
        beyond=int((differ & ~plain.rounds()).sum()),
        dice_difference=float(dice[0][chosen[0]] - dice[1][chosen[1]]),
        largest=float(gaps.max()),
        excess=int((gaps > reach + 1e-12).sum()),
        other_picks=len(other),
        unexplained=sum(
            bool(abs(by[name][picks[0][name]] - by[name][picks[1][name]]) > slack[name])
            for name in other
        ),
    )


def _counts(
    region: TruthRegion, masks: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """tp and pred_px, int64[4] each."""
    return region.count_all(masks)
