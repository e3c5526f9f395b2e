"""One unit to rows: slices are embedded once per model, together, and fanned out. No Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.ahead import one_ahead
from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.evaluation.embedding import embed_together
from engine.evaluation.fanout import FanOut
from engine.evaluation.rows import CellRows, fail_object
from engine.evaluation.scene import Scene, make_scene
from engine.models.base import Card, Embedding, Model
from engine.models.numerics import Numerics
from engine.planning.plan import PlannedCell, UnitTask
from engine.scoring.factors import compute_factors, to_grey
from engine.study import Study


@dataclass(frozen=True, eq=False)
class _Ready:
    """A slice and its scene, or why there is none."""

    ref: SliceRef
    scene: Scene | Exception


class Evaluator:
    """Evaluates units of a study; holds the models, and nothing of a unit after it is done.

    Slices are embedded together, as many as `numerics.encode_batch`. Beside a GPU, the scenes of
    the next ones are made while those are fanned out. The rows are the same, in the same order.

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
        chunks = self._chunks(list(zip(task.slices, pixels, strict=True)))
        # On a CPU the thread would only take turns with the model.
        for chunk in one_ahead(chunks) if self._numerics.on_gpu else chunks:
            self._chunk(cells, chunk)
        return cells

    def _chunks(self, slices: Sequence[tuple[SliceRef, SlicePixels]]) -> Iterator[list[_Ready]]:
        size = self._numerics.encode_batch
        for start in range(0, len(slices), size):
            yield [self._ready(*one) for one in slices[start : start + size]]

    def _ready(self, ref: SliceRef, stored: SlicePixels) -> _Ready:
        try:
            return _Ready(ref, make_scene(self._study, ref, stored))
        except Exception as problem:  # noqa: BLE001  a slice must not stop the others
            return _Ready(ref, problem)

    def _chunk(self, cells: Sequence[CellRows], chunk: Sequence[_Ready]) -> None:
        scenes = [ready.scene for ready in chunk if isinstance(ready.scene, Scene)]
        embedded = {
            name: iter(_embedded(model, of_model, scenes))
            for name, model in self._models.items()
            if (of_model := _of(cells, name))
        }
        for ready in chunk:
            if isinstance(ready.scene, Scene):
                said = {name: next(each) for name, each in embedded.items()}
                self._scene(cells, ready.scene, said)
            else:
                objects, cards = ready.ref.objects, self.cards
                fail_objects(self._study, cards, cells, ready.ref, objects, "read", ready.scene)

    def _scene(
        self,
        cells: Sequence[CellRows],
        scene: Scene,
        embedded: Mapping[str, Embedding | Exception],
    ) -> None:
        for wanted, reason in scene.broken:
            fail_objects(self._study, self.cards, cells, scene.ref, (wanted,), "read", reason)
        for cell in cells:
            if cell.planned.cell.is_factors:
                _factors(cell, scene)
        for name, embedding in embedded.items():
            for cell in _of(cells, name):
                fan = self._fan(cell, scene)
                if isinstance(embedding, Exception):
                    fan.fail_slice("embed", embedding)
                else:
                    fan.run(embedding)

    def _fan(self, cell: CellRows, scene: Scene) -> FanOut:
        named = cell.planned.cell
        strategy, model = self._study.strategy(named.strategy), self._models[named.model]
        return FanOut(self._study, strategy, model, self._numerics, scene, cell)

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


def _of(cells: Sequence[CellRows], model: str) -> list[CellRows]:
    return [cell for cell in cells if cell.planned.cell.model == model]


def _embedded(
    model: Model, cells: Sequence[CellRows], scenes: Sequence[Scene]
) -> list[Embedding | Exception]:
    """One embedding of each scene for all cells of a model; its time is booked to the first."""
    with cells[0].timed("embed"):
        return embed_together(model, [scene.image for scene in scenes])


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
