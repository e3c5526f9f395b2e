"""A plan the slow and obvious way: unit, slice, object and cell are Python objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.collection.sampled import SampledUnit
from engine.identity import PROTOCOL_VERSION, fingerprint
from engine.models.base import Card
from engine.models.numerics import Numerics
from engine.planning.plan import algorithm_versions
from engine.planning.tasks import PlannedCell, UnitTask
from engine.results.manifest import Cell
from engine.study import Strategy, Study

_WORDS = (
    "name", "architecture", "trained_on", "trained_subjects", "parameters", "untrained",
)  # fmt: skip


def plan(
    study: Study, units: Sequence[SampledUnit], cards: Mapping[str, Card], numerics: Numerics
) -> list[UnitTask]:
    """Every unit with all its cells."""
    return [_task(study, unit, cards, numerics) for unit in units]


def pending(tasks: Sequence[UnitTask], committed: Callable[[PlannedCell], bool]) -> list[UnitTask]:
    """Units with the cells that are not committed, most trials first."""
    rest = []
    for unit in tasks:
        cells = tuple(cell for cell in unit.cells if not committed(cell))
        if cells:
            rest.append(replace(unit, cells=cells))
    return sorted(rest, key=lambda unit: -sum(cell.expected for cell in unit.cells))


def _task(
    study: Study, unit: SampledUnit, cards: Mapping[str, Card], numerics: Numerics
) -> UnitTask:
    data = fingerprint(data_record(unit))
    n_objects = sum(len(ref.objects) for ref in unit.slices)
    cells = [PlannedCell(Cell.factors(unit.unit_id), factors_identity(study, data), n_objects)]
    for model in study.models:
        for strategy in study.strategies_of(model):
            identity = cell_identity(study, strategy, data, cards[model.name], numerics)
            trials = sum(1 for _ in study.jitter.trials_of(strategy))
            cell = Cell(unit.unit_id, model.name, strategy.name)
            cells.append(PlannedCell(cell, identity, n_objects * trials))
    return UnitTask(
        unit.unit_id, unit.data_sha256, data, unit.complete, tuple(unit.slices), tuple(cells)
    )


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
    """Identity of one (unit, model, strategy)."""
    model = asdict(card)
    for word in _WORDS:
        del model[word]
    versions = algorithm_versions()
    del versions["factors"]
    return fingerprint(
        {
            "protocol": PROTOCOL_VERSION,
            "versions": versions,
            "data": data,
            "seed": study.seed if strategy.prompted else None,
            "intensity": study.intensity.model_dump(mode="json"),
            "nsd_tolerance": [study.nsd_tolerance_px, study.nsd_tolerance_mm],
            "strategy": strategy.model_dump(mode="json"),
            "jitter": study.jitter.model_dump(mode="json") if strategy.prompted else None,
            "model": model,
            "numerics": numerics.as_record(),
        }
    )


def factors_identity(study: Study, data: str) -> str:
    """Identity of a unit's object factors."""
    versions = algorithm_versions()
    return fingerprint(
        {
            "protocol": PROTOCOL_VERSION,
            "versions": {room: versions[room] for room in ("intensity", "factors")},
            "data": data,
            "intensity": study.intensity.model_dump(mode="json"),
        }
    )
