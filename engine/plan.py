"""The plan: which (unit, model, strategy) cells a study needs, and the identity of each.

A plan is a pure function of study, catalog, model cards and numerics. Resume is the plan minus
the cells already committed under the same identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import engine.models as models_room
import engine.prompts as prompts_room
import engine.scoring as scoring_room
from engine.collection import intensity
from engine.collection.contract import SliceRef
from engine.collection.sample import SampledUnit
from engine.errors import UserError
from engine.identity import PROTOCOL_VERSION, fingerprint
from engine.models.base import Card
from engine.models.numerics import Numerics
from engine.results.parts import Cell
from engine.scoring import factors as factors_room
from engine.study import Strategy, Study


@dataclass(frozen=True)
class PlannedCell:
    """One (unit, model, strategy) to evaluate.

    Attributes:
        identity: hash of all that can change its numbers.
        expected: trials it must yield, done or failed.
    """

    cell: Cell
    identity: str
    expected: int


@dataclass(frozen=True)
class UnitTask:
    """What an evaluator needs to know of one unit beside its pixels."""

    unit_id: str
    data_sha256: str
    complete: bool
    slices: tuple[SliceRef, ...]
    cells: tuple[PlannedCell, ...]

    def __len__(self) -> int:
        return len(self.slices)


@dataclass(frozen=True)
class Plan:
    """Every unit of the study with all its cells, whether committed or not."""

    study: Study
    cards: Mapping[str, Card]
    numerics: Numerics
    units: tuple[UnitTask, ...]

    def expected(self) -> dict[tuple[str, str], int]:
        """Trials per (model, strategy), the factors cell left out."""
        totals = {
            (model.name, strategy.name): 0
            for model in self.study.models
            for strategy in self.study.strategies_of(model)
        }
        for planned in self.cells():
            if not planned.cell.is_factors:
                totals[planned.cell.model, planned.cell.strategy] += planned.expected
        return totals

    def cells(self) -> Iterator[PlannedCell]:
        for unit in self.units:
            yield from unit.cells

    def pending(self, committed: Callable[[PlannedCell], bool]) -> list[UnitTask]:
        """Units with the cells that are not committed yet; finished units are left out."""
        rest = []
        for unit in self.units:
            cells = tuple(cell for cell in unit.cells if not committed(cell))
            if cells:
                rest.append(replace(unit, cells=cells))
        # The longest first: a long unit that starts last would keep one worker busy alone.
        return sorted(rest, key=lambda unit: -sum(cell.expected for cell in unit.cells))


def make_plan(
    study: Study,
    units: Sequence[SampledUnit],
    cards: Mapping[str, Card],
    numerics: Numerics,
) -> Plan:
    """Lay out the study over the sampled units.

    Raises:
        UserError: a model lacks a capability that one of its strategies needs.
    """
    for model in study.models:
        for strategy in study.strategies_of(model):
            check_capability(cards[model.name], strategy)
    tasks = tuple(_unit_task(study, unit, cards, numerics) for unit in units)
    return Plan(study, cards, numerics, tasks)


def check_capability(card: Card, strategy: Strategy) -> None:
    """Raise UserError when `card` cannot answer the prompts of `strategy`."""
    has, needs = card.capabilities, []
    if strategy.kind == "everything" and not has.everything:
        needs.append("everything")
    if strategy.kind in ("points", "box_points") and not has.points:
        needs.append("points")
    if strategy.kind in ("box", "box_points") and not has.boxes:
        needs.append("boxes")
    if needs:
        raise UserError(
            f"model '{card.name}' cannot run strategy '{strategy.name}': it takes no {needs[0]}",
            where=f"study, models, {card.name}",
            got=f"strategy of kind '{strategy.kind}'",
            remedy=f"name the strategies it can run: strategies: [...] under model '{card.name}'",
        )


def _unit_task(
    study: Study,
    unit: SampledUnit,
    cards: Mapping[str, Card],
    numerics: Numerics,
) -> UnitTask:
    data = fingerprint(data_record(unit))
    n_objects = sum(len(ref.objects) for ref in unit.slices)
    cells = [
        PlannedCell(Cell.factors(unit.unit_id), factors_identity(study, data), expected=n_objects)
    ]
    for model in study.models:
        for strategy in study.strategies_of(model):
            identity = cell_identity(study, strategy, data, cards[model.name], numerics)
            trials = sum(1 for _ in study.jitter.trials_of(strategy))
            cell = Cell(unit.unit_id, model.name, strategy.name)
            cells.append(PlannedCell(cell, identity, n_objects * trials))
    return UnitTask(unit.unit_id, unit.data_sha256, unit.complete, tuple(unit.slices), tuple(cells))


def data_record(unit: SampledUnit) -> dict[str, Any]:
    """The data a unit's numbers depend on: stored values, and which slices and objects."""
    return {
        "unit": unit.data_sha256,
        "slices": [
            [ref.slice_id, ref.index, ref.spacing_row_mm, ref.spacing_col_mm,
             ref.volume_lo, ref.volume_hi,
             [[o.object_id, o.layer, o.value] for o in ref.objects]]
            for ref in unit.slices
        ],
    }  # fmt: skip


def cell_identity(
    study: Study, strategy: Strategy, data: str, card: Card, numerics: Numerics
) -> str:
    """Hash of what can change the numbers of one (unit, model, strategy); never workers or paths.

    Everything is not jittered, so seed and jitter stay out of its identity.
    """
    record: dict[str, Any] = {
        "protocol": PROTOCOL_VERSION,
        "versions": _versions("intensity", "prompts", "models", "scoring"),
        "data": data,
        "seed": study.seed if strategy.prompted else None,
        "intensity": study.intensity.model_dump(mode="json"),
        "nsd_tolerance": [study.nsd_tolerance_px, study.nsd_tolerance_mm],
        "strategy": strategy.model_dump(mode="json"),
        "jitter": study.jitter.model_dump(mode="json") if strategy.prompted else None,
        "model": _model_record(card),
        "numerics": numerics.as_record(),
    }
    return fingerprint(record)


def factors_identity(study: Study, data: str) -> str:
    """Hash of what can change the object factors of a unit."""
    return fingerprint(
        {
            "protocol": PROTOCOL_VERSION,
            "versions": _versions("intensity", "factors"),
            "data": data,
            "intensity": study.intensity.model_dump(mode="json"),
        }
    )


def algorithm_versions() -> dict[str, int]:
    """Version of each room whose change can move a number."""
    return {
        "intensity": intensity.ALGORITHM_VERSION,
        "prompts": prompts_room.ALGORITHM_VERSION,
        "models": models_room.ALGORITHM_VERSION,
        "scoring": scoring_room.ALGORITHM_VERSION,
        "factors": factors_room.ALGORITHM_VERSION,
    }


def _versions(*rooms: str) -> dict[str, int]:
    versions = algorithm_versions()
    return {room: versions[room] for room in rooms}


def _model_record(card: Card) -> dict[str, Any]:
    """What of a card can change a number: not its names, nor what it was trained on."""
    record = asdict(card)
    for words in (
        "name",
        "architecture",
        "trained_on",
        "trained_subjects",
        "parameters",
        "untrained",
    ):
        del record[words]
    return record
