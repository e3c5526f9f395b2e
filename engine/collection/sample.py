"""Which slices and objects of a collection a study evaluates, and why the others not.

Pure and vectorised. Rules, in order: the study's `datasets`, `modalities` and `subjects`; objects
above `min_object_px` (protocol 1.5); then its `sample`, even over what is left: cases of a dataset,
slices of a case, objects of a slice, each by id. Whatever falls out is a row: of its object, of its
slice or case when that goes whole, of its dataset when that is not in the study.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.collection.catalog_schema import EXCLUSIONS
from engine.collection.population import (
    Choice,
    Flags,
    Index,
    Population,
    Tables,
    choose,
    flags,
    rows_of,
)
from engine.collection.sampled import REF_COLUMNS, SampledUnit, SampledUnits
from engine.errors import UserError
from engine.study import Study

__all__ = ["Exclusion", "SampledUnit", "SampledUnits", "StudySample", "sample_units"]

NOT_SAMPLED = "not_sampled"
DATASET_NOT_IN_STUDY = "dataset_not_in_study"
CASE_NOT_IN_STUDY = "case_not_in_study"


class Exclusion(NamedTuple):
    """A row of `exclusions` made by the study's own rules."""

    dataset: str
    case_id: str | None
    slice_id: str | None
    object_id: str | None
    reason: str
    detail: str
    refused: bool


@dataclass(frozen=True)
class StudySample:
    """What a study evaluates.

    Attributes:
        units: those with at least one object that takes part, by unit_id.
        exclusion_table: rows of `EXCLUSIONS` that the study adds to the catalog's own.
    """

    units: SampledUnits
    exclusion_table: pa.Table

    @cached_property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """`exclusion_table` as Python rows."""
        columns = [column.to_pylist() for column in self.exclusion_table.columns]
        return tuple(Exclusion(*row) for row in zip(*columns, strict=True))


def sample_units(catalog: Tables, study: Study) -> StudySample:
    """The slices and objects that a study evaluates, by unit.

    Raises:
        UserError: the study names an unknown dataset, or selects nothing.
        CorruptDataError: the catalog's tables do not fit together.
    """
    rows = Population.of(catalog, study)
    choice = choose(rows, study)
    if not choice.objects.any():
        raise UserError(
            "the study selects no object of the collection",
            where="study, datasets, modalities, subjects and min_object_px",
            got=f"{int(choice.small.sum())} objects, none above {study.min_object_px} px",
            remedy="lower min_object_px, widen datasets, or ingest labelled cases",
        )
    return StudySample(_lay_out(rows, choice), _exclusions(rows, choice, study))


def _lay_out(rows: Population, choice: Choice) -> SampledUnits:
    """The chosen slices, unit after unit."""
    slices = np.flatnonzero(choice.slices)
    names = rows.slices["unit_id"].take(pa.array(slices))
    unit_of = rows_of(names, rows.units["unit_id"], "slices.unit_id")
    order = np.argsort(unit_of, kind="stable")
    slices = slices[order]
    used, counts = np.unique(unit_of, return_counts=True)
    place = np.zeros(rows.slices.num_rows, np.int64)
    place[slices] = np.arange(len(slices))
    objects = np.flatnonzero(choice.objects)
    objects = objects[np.argsort(place[rows.slice_of[objects]], kind="stable")]
    per_slice = np.bincount(place[rows.slice_of[objects]], minlength=len(slices))
    units = rows.units.take(pa.array(used))
    complete = pa.array(counts == units["n_slices"].to_numpy())
    return SampledUnits(
        units.select(["unit_id", "data_sha256"]).append_column("complete", complete),
        _slice_columns(rows, slices),
        _taken(rows.objects, objects),
        _starts(counts),
        _starts(per_slice),
    )


def _taken(table: pa.Table, rows: Index) -> pa.Table:
    """These rows; without a copy where they are all, in order."""
    whole = len(rows) == table.num_rows and bool((rows == np.arange(len(rows))).all())
    return table if whole else table.take(pa.array(rows))


def _slice_columns(rows: Population, slices: Index) -> pa.Table:
    case_columns = ["volume_lo", "volume_hi", "modality"]
    of_case = rows.cases.select(case_columns).take(pa.array(rows.case_of[slices]))
    own = _taken(rows.slices, slices)
    columns = [(of_case if name in case_columns else own)[name] for name in REF_COLUMNS]
    return pa.table(columns, names=list(REF_COLUMNS))


def _starts(counts: Index) -> Index:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _exclusions(rows: Population, choice: Choice, study: Study) -> pa.Table:
    sample, least = study.sample, study.min_object_px
    with_objects = flags(rows.slice_of, rows.slices.num_rows)
    bare = with_objects & rows.wanted[rows.case_of] & ~choice.eligible_slices
    others = rows.in_study[rows.dataset_of] & ~rows.wanted
    cases = choice.eligible_cases & ~choice.cases
    slices = choice.eligible_slices & choice.cases[rows.case_of] & ~choice.slices
    objects = choice.eligible_objects & choice.slices[rows.slice_of] & ~choice.objects
    areas = pc.cast(rows.objects["area_px"].filter(pa.array(choice.small)), pa.string())
    too_small = pc.binary_join_element_wise(areas, f" px, not above {least} px", "")
    every = f"cases_per_dataset is {sample.cases_per_dataset}"
    return pa.concat_tables(
        [
            _dataset_rows(rows),
            _case_rows(
                rows, others, CASE_NOT_IN_STUDY, "the study names other modalities or subjects"
            ),
            _case_rows(rows, cases, NOT_SAMPLED, every),
            _slice_rows(rows, bare, "slice_without_objects", f"none above {least} px"),
            _slice_rows(rows, slices, NOT_SAMPLED, f"slices_per_case is {sample.slices_per_case}"),
            _object_rows(rows, choice.small, "object_too_small", too_small),
            _object_rows(
                rows, objects, NOT_SAMPLED, f"objects_per_slice is {sample.objects_per_slice}"
            ),
        ]
    )


def _dataset_rows(rows: Population) -> pa.Table:
    left_out = [d for d, wanted in zip(rows.datasets, rows.in_study, strict=True) if not wanted]
    return _table(
        len(left_out),
        DATASET_NOT_IN_STUDY,
        "the study's datasets do not name it",
        dataset=pa.array(left_out, pa.string()),
    )


def _case_rows(rows: Population, which: Flags, reason: str, detail: str) -> pa.Table:
    cases = np.flatnonzero(which)
    return _table(len(cases), reason, detail, **_case_ids(rows, cases))


def _slice_rows(rows: Population, which: Flags, reason: str, detail: str) -> pa.Table:
    slices = np.flatnonzero(which)
    return _table(len(slices), reason, detail, **_slice_ids(rows, slices))


def _object_rows(rows: Population, which: Flags, reason: str, detail: Any) -> pa.Table:
    objects = np.flatnonzero(which)
    ids = _slice_ids(rows, rows.slice_of[objects])
    ids["object_id"] = rows.objects["object_id"].take(pa.array(objects))
    return _table(len(objects), reason, detail, **ids)


def _case_ids(rows: Population, cases: Index) -> dict[str, Any]:
    own = rows.cases.take(pa.array(cases))
    return {"dataset": own["dataset"], "case_id": own["case_id"]}


def _slice_ids(rows: Population, slices: Index) -> dict[str, Any]:
    ids = _case_ids(rows, rows.case_of[slices])
    return {**ids, "slice_id": rows.slices["slice_id"].take(pa.array(slices))}


def _table(n: int, reason: str, detail: Any, **ids: Any) -> pa.Table:
    """`n` exclusion rows; `detail` is one text for all or a column."""
    columns = {
        **ids,
        "reason": pa.repeat(reason, n),
        "detail": pa.repeat(detail, n) if isinstance(detail, str) else detail,
        "refused": pa.repeat(False, n),
    }
    missing = pa.nulls(n, pa.string())
    return pa.table([columns.get(f.name, missing) for f in EXCLUSIONS], schema=EXCLUSIONS)
