"""Some slices of a study as an evaluator and as a script around SamPredictor would meet them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import SlicePixels, SliceRef
from engine.collection.reading import read_slices
from engine.evaluation.scene import Scene, make_scene
from engine.evaluation.trials import first_steps
from engine.planning.plan import Plan, UnitTask
from engine.prompts.base import Prompt
from engine.prompts.sampling import even_indices
from engine.study import Strategy, Study

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Work:
    """One slice with some of its objects.

    Attributes:
        task: all cells of the study on that slice.
        prompts: of each prompted strategy, the prompts of its trials.
        truths: bool[y, x] of the object that each prompt is about.
    """

    task: UnitTask
    pixels: SlicePixels
    scene: Scene
    prompts: tuple[tuple[Prompt, ...], ...]
    truths: tuple[tuple[Mask, ...], ...]

    @property
    def ref(self) -> SliceRef:
        """The slice."""
        return self.task.slices[0]

    @property
    def n_prompts(self) -> int:
        """Prompts of all strategies."""
        return sum(map(len, self.prompts))


def works(
    plan: Plan, collection: str, slices: int, objects: int, model: str | None = None
) -> Iterator[Work]:
    """Slices spread evenly over the plan's, with at most `objects` of each.

    Args:
        model: only the prompted strategies of this one; None: all cells of all models.
    """
    study = plan.study
    strategies = study.strategies if model is None else study.strategies_of(study.model(model))
    prompted = [strategy for strategy in strategies if strategy.prompted]
    wanted = {(model, strategy.name) for strategy in prompted}
    places = [(unit, ref) for unit in plan.units for ref in unit.slices]
    for place in even_indices(len(places), min(slices, len(places))):
        unit, ref = places[place]
        cells = tuple(
            planned
            for planned in unit.cells
            if model is None or (planned.cell.model, planned.cell.strategy) in wanted
        )
        some = replace(ref, objects=ref.objects[:objects])
        task = UnitTask(unit.unit_id, unit.data_sha256, unit.data, False, (some,), cells)
        (pixels,) = read_slices(collection, [some])
        yield _work(study, prompted, task, pixels)


def _work(study: Study, prompted: Sequence[Strategy], task: UnitTask, pixels: SlicePixels) -> Work:
    scene = make_scene(study, task.slices[0], pixels)
    steps = [
        [step for target in scene.targets for step in first_steps(study, strategy, target)]
        for strategy in prompted
    ]
    return Work(
        task,
        pixels,
        scene,
        tuple(tuple(step.prompt for step in some) for some in steps),
        tuple(tuple(step.target.mask for step in some) for some in steps),
    )
