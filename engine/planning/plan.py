"""The plan: which (unit, model, strategy) cells a study needs, and the identity of each.

A plan is a pure function of study, catalog, model cards and numerics. Resume is the plan minus
the cells already committed under the same identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import engine.models as models_room
import engine.prompts as prompts_room
import engine.scoring as scoring_room
from engine.collection import intensity
from engine.collection.sampled import SampledUnits
from engine.errors import UserError
from engine.identity import PROTOCOL_VERSION, canonical_json
from engine.models.base import Card
from engine.models.numerics import Numerics
from engine.planning.tasks import Column, Flags, PlannedCell, Tasks, UnitTask
from engine.planning.unit_data import data_fingerprints
from engine.results.manifest import FACTORS_MODEL, FACTORS_STRATEGY, Cell, Manifest
from engine.scoring import factors as factors_room
from engine.study import Strategy, Study

__all__ = ["Plan", "PlannedCell", "UnitTask", "algorithm_versions", "check_capability", "make_plan"]

Place = tuple[int, int]
_HERE = "<data>"
"""Stands where a unit's hash goes, which is before all else: keys are sorted."""


@dataclass(frozen=True)
class Plan:
    """Every unit of the study with all its cells, whether committed or not."""

    study: Study
    cards: Mapping[str, Card]
    numerics: Numerics
    units: Tasks

    def expected(self) -> dict[tuple[str, str], int]:
        """Trials per (model, strategy), the factors cell left out."""
        totals = self.units.expected().sum(axis=0).tolist()
        _, *scored = zip(self.units.columns, totals, strict=True)
        return {(column.model, column.strategy): total for column, total in scored}

    def cells(self) -> Iterator[PlannedCell]:
        """Every cell, unit after unit; identities are computed on the way."""
        return self.units.cells()

    def place(self, cell: Cell) -> Place | None:
        """(unit, column) of a cell in the plan's order; None: the study does not ask for it."""
        row = self._rows.get(cell.unit_id)
        column = self._columns.get((cell.model, cell.strategy))
        return None if row is None or column is None else (row, column)

    def identity(self, place: Place) -> str:
        """Identity of the cell at a place."""
        row, column = place
        return self.units.columns[column].identity(self.units.data[row])

    def answered(self, manifest: Manifest) -> Place | None:
        """Where in the plan a manifest's cell is, if its rows are valid there; else None.

        They are under the plan's numerics, and in a study of mixed numerics under those that the
        manifest states, whatever workers are there now.
        """
        place = self.place(manifest.cell)
        if place is None or manifest.identity == self.identity(place):
            return place
        row, column = place
        columns = self._columns_under(manifest.info.get("numerics"))
        valid = columns and columns[column].identity(self.units.data[row]) == manifest.identity
        return place if valid else None

    def _columns_under(self, stated: object) -> tuple[Column, ...] | None:
        """The plan's columns under other numerics; None where the study does not admit them."""
        if not self.study.mixed_numerics:
            return None
        key = repr(stated)
        if key not in self._other_columns:
            self._other_columns[key] = _columns_as(self, stated)
        return self._other_columns[key]

    @cached_property
    def _other_columns(self) -> dict[str, tuple[Column, ...] | None]:
        return {}

    def none_done(self) -> Flags:
        """bool[unit, column], False: what `pending` takes, before the ledger was read."""
        return np.zeros_like(self.units.todo)

    def pending(self, done: Flags) -> Tasks:
        """Units with the cells that are not done yet; finished units are left out.

        Args:
            done: bool[unit, column], the cells that are committed under their identity.
        """
        units = self.units
        rest = Tasks(units.sampled, units.data, units.columns, units.todo & ~done, units.order)
        order = np.flatnonzero(rest.todo.any(axis=1))
        # The longest first: a long unit that starts last would keep one worker busy alone.
        rest.order = order[np.argsort(-rest.expected()[order].sum(axis=1), kind="stable")]
        return rest

    @cached_property
    def _rows(self) -> dict[str, int]:
        names = self.units.sampled.units["unit_id"].to_pylist()
        return {name: row for row, name in enumerate(names)}

    @cached_property
    def _columns(self) -> dict[tuple[str, str], int]:
        columns = enumerate(self.units.columns)
        return {(column.model, column.strategy): place for place, column in columns}


def make_plan(
    study: Study, units: SampledUnits, cards: Mapping[str, Card], numerics: Numerics
) -> Plan:
    """Lay out the study over the sampled units.

    Raises:
        UserError: a model lacks a capability that one of its strategies needs.
    """
    for model in study.models:
        for strategy in study.strategies_of(model):
            check_capability(cards[model.name], strategy)
    columns = columns_of(study, cards, numerics)
    todo = np.ones((len(units), len(columns)), np.bool_)
    tasks = Tasks(units, data_fingerprints(units), columns, todo, np.arange(len(units)))
    return Plan(study, cards, numerics, tasks)


def columns_of(study: Study, cards: Mapping[str, Card], numerics: Numerics) -> tuple[Column, ...]:
    """The cells of a unit: the object factors, then each model with each of its strategies."""
    return (
        factors_column(study),
        *(
            scored_column(study, model.name, strategy, cards[model.name], numerics)
            for model in study.models
            for strategy in study.strategies_of(model)
        ),
    )


def under(task: UnitTask, columns: Sequence[Column]) -> UnitTask:
    """The same task with the identities of these columns: those of a worker's own numerics."""
    own = {(column.model, column.strategy): column for column in columns}
    cells = (
        replace(one, identity=own[one.cell.model, one.cell.strategy].identity(task.data))
        for one in task.cells
    )
    return replace(task, cells=tuple(cells))


def _columns_as(plan: Plan, stated: object) -> tuple[Column, ...] | None:
    if not isinstance(stated, Mapping):
        return None
    try:
        numerics = Numerics(**stated)
        if not plan.study.admits(numerics.dtype):
            return None
        return columns_of(plan.study, plan.cards, numerics)
    except (TypeError, ValueError):  # of another version, or not one of ours
        return None


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


def scored_column(
    study: Study, model: str, strategy: Strategy, card: Card, numerics: Numerics
) -> Column:
    """The cells of a (model, strategy), and what can change their numbers: never workers or paths.

    Everything is not jittered, so seed and jitter stay out of its identity.
    """
    record: dict[str, Any] = {
        "protocol": PROTOCOL_VERSION,
        "versions": _versions("intensity", "prompts", "models", "scoring"),
        "seed": study.seed if strategy.prompted else None,
        "intensity": study.intensity.model_dump(mode="json"),
        "nsd_tolerance": [study.nsd_tolerance_px, study.nsd_tolerance_mm],
        "strategy": strategy.model_dump(mode="json"),
        "jitter": study.jitter.model_dump(mode="json") if strategy.prompted else None,
        "model": _model_record(card),
        "numerics": numerics.as_record(),
    }
    trials = sum(1 for _ in study.jitter.trials_of(strategy))
    return Column(model, strategy.name, trials, *_around_data(record))


def factors_column(study: Study) -> Column:
    """The cells that hold the object factors, and what can change those."""
    record: dict[str, Any] = {
        "protocol": PROTOCOL_VERSION,
        "versions": _versions("intensity", "factors"),
        "intensity": study.intensity.model_dump(mode="json"),
    }
    return Column(FACTORS_MODEL, FACTORS_STRATEGY, 1, *_around_data(record))


def _around_data(record: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Canonical JSON of the record with the hash of a unit's data, without that hash."""
    before, _, after = canonical_json({**record, "data": _HERE}).partition(_HERE)
    return before.encode(), after.encode()


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
