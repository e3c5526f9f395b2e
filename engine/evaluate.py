"""One unit to rows: each slice is embedded once per model and fanned out. Plain Python, no Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.fanout import FanOut
from engine.models.base import Card, Model
from engine.models.numerics import Numerics
from engine.plan import PlannedCell, UnitTask
from engine.rows import CellRows, fail_object
from engine.scene import Scene, make_scene
from engine.scoring.factors import compute_factors, to_grey
from engine.study import Study


class Evaluator:
    """Evaluates units of a study; holds the models, and nothing of a unit after it is done.

    Args:
        beat: called whenever a stage of a cell ended: a sign of life.
    """

    def __init__(
        self,
        study: Study,
        models: Mapping[str, Model],
        numerics: Numerics,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._study = study
        self._models = models
        self._numerics = numerics
        self._beat = beat

    def evaluate(self, task: UnitTask, pixels: Sequence[SlicePixels]) -> list[CellRows]:
        """All rows of the task's cells.

        Args:
            pixels: of `task.slices`, in that order.
        """
        cells = [CellRows(planned, self._beat) for planned in task.cells]
        for ref, stored in zip(task.slices, pixels, strict=True):
            self._slice(cells, ref, stored)
        return cells

    def _slice(self, cells: Sequence[CellRows], ref: SliceRef, stored: SlicePixels) -> None:
        try:
            scene = make_scene(self._study, ref, stored)
        except Exception as problem:  # noqa: BLE001  a slice must not stop the others
            fail_objects(self._study, self.cards, cells, ref, ref.objects, "read", problem)
            return
        for wanted, reason in scene.broken:
            fail_objects(self._study, self.cards, cells, ref, (wanted,), "read", reason)
        for cell in cells:
            if cell.planned.cell.is_factors:
                _factors(cell, scene)
        for name, model in self._models.items():
            fans = [
                FanOut(
                    self._study,
                    self._study.strategy(cell.planned.cell.strategy),
                    model,
                    self._numerics,
                    scene,
                    cell,
                )
                for cell in cells
                if cell.planned.cell.model == name
            ]
            _fan_out(fans, model, scene)

    @property
    def cards(self) -> dict[str, Card]:
        """What each model declares, by name."""
        return {name: model.card for name, model in self._models.items()}


def fail_objects(
    study: Study,
    cards: Mapping[str, Card],
    cells: Sequence[CellRows],
    ref: SliceRef,
    objects: Sequence[ObjectRef],
    stage: str,
    problem: Exception,
) -> None:
    """Fail every trial of some objects of a slice in every cell."""
    for rows in cells:
        cell = rows.planned.cell
        for wanted in objects:
            if cell.is_factors:
                rows.add_failure(ref.slice_id, wanted.object_id, stage, problem, 1)
            else:
                strategy = study.strategy(cell.strategy)
                card = cards[cell.model]
                fail_object(rows, study, strategy, card, ref.slice_id, wanted, stage, problem)


def fail_cells(
    study: Study,
    cards: Mapping[str, Card],
    task: UnitTask,
    cells: Sequence[PlannedCell],
    stage: str,
    problem: Exception,
) -> list[CellRows]:
    """Rows of cells of a unit that could not be evaluated at all."""
    failed = [CellRows(planned) for planned in cells]
    for ref in task.slices:
        fail_objects(study, cards, failed, ref, ref.objects, stage, problem)
    return failed


def _fan_out(fans: Sequence[FanOut], model: Model, scene: Scene) -> None:
    if not fans:
        return
    try:
        # The embedding serves all strategies; its time is booked to the first.
        with fans[0].rows.timed("embed"):
            embedding = model.embed([scene.image])[0]
    except Exception as problem:  # noqa: BLE001  a slice must not stop the others
        for fan in fans:
            fan.fail_slice("embed", problem)
        return
    for fan in fans:
        fan.run(embedding)


def _factors(rows: CellRows, scene: Scene) -> None:
    """Factors of the scene's objects; area and modality come from the catalog."""
    with rows.timed("factors"):
        grey = to_grey(scene.image)
        for target in scene.targets:
            try:
                values = compute_factors(target.mask, grey)
            except Exception as problem:  # noqa: BLE001  an object must not stop the others
                rows.add_failure(scene.ref.slice_id, target.ref.object_id, "factors", problem, 1)
                continue
            values.pop("area_px", None)
            row = {"object_id": target.ref.object_id, "flat": scene.flat, **values}
            rows.tables["factors"].append(row)
