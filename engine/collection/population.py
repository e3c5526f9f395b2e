"""The population of a study: the catalog's rows, and what takes part after each rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.collection.even import even_in_groups
from engine.errors import CorruptDataError, UserError, nearest
from engine.study import Study

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Tables(Protocol):
    """The catalog tables a study is laid over; `engine.collection.catalog.Catalog` is one."""

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table: ...


SLICE_COLUMNS = (
    "slice_id", "case_id", "slice", "unit_id", "array_path", "index", "height", "width",
    "spacing_row_mm", "spacing_col_mm",
)  # fmt: skip
OBJECT_COLUMNS = ("object_id", "layer", "value", "area_px")
"""What is read of `slices` and `objects`; of 6 x 10^6 objects every further column costs."""


@dataclass(frozen=True)
class Population:
    """The catalog's tables in the order of their ids, and the parent row of every row.

    Attributes:
        cases, slices, objects, units: by case_id; by case and slice; by slice and object_id; by
            unit_id. Slices and objects have the columns above.
        datasets: names, sorted.
        in_study: bool[datasets], the study wants it.
        wanted: bool[cases], the study wants its dataset, its modality and its subject.
        dataset_of: int64[cases].
        case_of: int64[slices].
        slice_of: int64[objects].
    """

    cases: pa.Table
    slices: pa.Table
    objects: pa.Table
    units: pa.Table
    datasets: tuple[str, ...]
    in_study: Flags
    wanted: Flags
    dataset_of: Index
    case_of: Index
    slice_of: Index

    @classmethod
    def of(cls, catalog: Tables, study: Study) -> Population:
        """Sort and join the catalog's tables.

        Raises:
            UserError: the study names an unknown dataset.
            CorruptDataError: a row's parent is missing.
        """
        datasets = tuple(sorted(set(catalog.table("datasets")["dataset"].to_pylist())))
        cases = _sorted(catalog.table("cases"), "case_id")
        slices = catalog.table("slices", SLICE_COLUMNS)
        case_of = rows_of(slices["case_id"], cases["case_id"], "slices.case_id")
        in_study = _wanted(datasets, study.datasets, "dataset")
        dataset_of = rows_of(cases["dataset"], pa.array(datasets, pa.string()), "cases.dataset")
        slices, case_of = _by_parent(slices, case_of, slices["slice"].to_numpy())
        parents = catalog.table("objects", ["slice_id"])["slice_id"]
        slice_of = rows_of(parents, slices["slice_id"], "objects.slice_id")
        objects = catalog.table("objects", OBJECT_COLUMNS)
        objects, slice_of = _by_parent(objects, slice_of, _ranks(objects["object_id"]))
        return cls(
            cases=cases,
            slices=slices,
            objects=objects,
            units=_sorted(catalog.table("units"), "unit_id"),
            datasets=datasets,
            in_study=in_study,
            wanted=in_study[dataset_of] & _wanted_cases(cases, study),
            dataset_of=dataset_of,
            case_of=case_of,
            slice_of=slice_of,
        )


@dataclass(frozen=True)
class Choice:
    """What takes part, as flags over a population's rows.

    Attributes:
        small: objects of the wanted cases with too small an area.
        eligible_objects, eligible_slices, eligible_cases: before sampling.
        cases, slices, objects: after sampling.
    """

    small: Flags
    eligible_objects: Flags
    eligible_slices: Flags
    eligible_cases: Flags
    cases: Flags
    slices: Flags
    objects: Flags


def choose(rows: Population, study: Study) -> Choice:
    """Apply the study's rules (protocol 1.5, then its sample: cases, slices, objects)."""
    big = rows.objects["area_px"].to_numpy() > study.min_object_px
    wanted = rows.wanted[rows.case_of[rows.slice_of]]
    eligible_objects = big & wanted
    eligible_slices = flags(rows.slice_of[eligible_objects], rows.slices.num_rows)
    eligible_cases = flags(rows.case_of[eligible_slices], rows.cases.num_rows)
    sample = study.sample
    cases = _sample(eligible_cases, rows.dataset_of, sample.cases_per_dataset)
    slices = _sample(eligible_slices & cases[rows.case_of], rows.case_of, sample.slices_per_case)
    objects = _sample(
        eligible_objects & slices[rows.slice_of], rows.slice_of, sample.objects_per_slice
    )
    small = ~big & wanted
    return Choice(small, eligible_objects, eligible_slices, eligible_cases, cases, slices, objects)


def flags(rows: Index, n: int) -> Flags:
    """bool[n], True at `rows`."""
    out = np.zeros(n, np.bool_)
    out[rows] = True
    return out


def rows_of(values: pa.ChunkedArray, keys: Any, what: str) -> Index:
    """int64[n], the row in `keys` of every value.

    Raises:
        CorruptDataError: a value is not among the keys.
    """
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    found = pc.index_in(values, value_set=keys)
    if found.null_count:
        lost = values.filter(pc.is_null(found))[0].as_py()
        raise CorruptDataError(
            "the catalog's tables do not fit together",
            where=what,
            got=lost,
            expected="an id that its parent table has",
            remedy="run `samscope ingest` again: it merges the catalog anew",
        )
    index: Index = found.to_numpy().astype(np.int64)
    return index


def _sample(eligible: Flags, parent: Index, most: int | None) -> Flags:
    """Even sampling of the eligible rows of every parent, in row order."""
    if most is None:
        return eligible
    rows = np.flatnonzero(eligible)
    rows = rows[np.argsort(parent[rows], kind="stable")]
    return flags(rows[even_in_groups(parent[rows], most)], len(eligible))


def _by_parent(table: pa.Table, parent: Index, key: NDArray[Any]) -> tuple[pa.Table, Index]:
    order = np.lexsort((key, parent))
    if (order[1:] > order[:-1]).all():
        return table, parent
    return table.take(pa.array(order)), parent[order]


def _sorted(table: pa.Table, column: str) -> pa.Table:
    return table if _ascends(table[column]) else table.sort_by(column)


def _ranks(column: pa.ChunkedArray) -> Index:
    if _ascends(column):
        return np.arange(len(column))
    ranks = np.empty(len(column), np.int64)
    ranks[pc.sort_indices(column).to_numpy()] = np.arange(len(column))
    return ranks


def _ascends(column: pa.ChunkedArray) -> bool:
    n = len(column)
    return n < 2 or bool(pc.all(pc.less_equal(column.slice(0, n - 1), column.slice(1))).as_py())


def _wanted_cases(cases: pa.Table, study: Study) -> Flags:
    """bool[cases]: of a wanted modality and subject."""
    flags = np.ones(cases.num_rows, np.bool_)
    for column, names, word in (
        ("modality", study.modalities, "modality"),
        ("subject_id", study.subjects, "subject"),
    ):
        if names is not None:
            found = cases[column].to_pylist()
            known = sorted(set(found))
            ours = dict(zip(known, _wanted(known, names, word), strict=True))
            flags &= np.array([ours[name] for name in found], np.bool_)
    return flags


def _wanted(known: Sequence[str], names: Sequence[str] | None, word: str) -> Flags:
    everything, chosen = set(known), set(names or ())
    for name in names or ():
        if name not in everything:
            plural = {"dataset": "datasets", "modality": "modalities", "subject": "subjects"}[word]
            raise UserError(
                f"the collection has no {word} '{name}'",
                where=f"study, {plural}",
                got=name,
                remedy=nearest(name, known),
            )
    return np.array([names is None or name in chosen for name in known], np.bool_)
