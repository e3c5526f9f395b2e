"""The report's numbers as tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from engine.collection.curation import CurationReport
from engine.collection.curation.counts import Count
from engine.collection.curation.distributions import QUANTILES

Row = dict[str, Any]

_QUANTILE_NAMES = ("min", "5 %", "25 %", "median", "75 %", "95 %", "max")


def tables(report: CurationReport) -> dict[str, pa.Table]:
    """Every table of the page by name; rows as they are shown."""
    counts = report.counts
    return {
        "datasets": _dataset_table(report),
        "modalities": _table(_counts(counts.by_modality, ("modality",)), _COUNT_COLUMNS),
        "planes": _table(_counts(counts.by_plane, ("plane",)), _COUNT_COLUMNS),
        "structures": _table(
            _counts(_most_first(counts.by_structure), ("structure", "modality")), _COUNT_COLUMNS
        ),
        "spreads": _table(_spreads(report), ("quantity", "modality")),
        "left_out": _left_out(report),
        "between": _between(report),
        "licences": _table(
            [
                {"dataset": row["dataset"], "title": row["title"], "licence": row["licence"],
                 "source": row["source"], "recipe version": row["recipe_version"]}
                for row in report.datasets
            ],
            ("dataset",),
        ),
    }  # fmt: skip


_COUNT_COLUMNS = ("subjects", "cases", "slices", "objects")


def _most_first(counts: Sequence[Count]) -> list[Count]:
    return sorted(counts, key=lambda row: (-row.objects, row.name))


def _counts(counts: Iterable[Count], keys: tuple[str, ...]) -> list[Row]:
    return [
        {
            **dict(zip(keys, row.name, strict=True)),
            "subjects": row.subjects,
            "cases": row.cases,
            "slices": row.slices,
            "with objects": row.labelled_slices,
            "taking part": row.slices_taking_part,
            "objects": row.objects,
            "objects up to 50 px": row.small_objects,
            "objects taking part": row.objects_taking_part,
        }
        for row in counts
    ]


def _dataset_table(report: CurationReport) -> pa.Table:
    kinds: dict[str, list[str]] = defaultdict(list)
    for dataset, kind, _ in report.dtypes:
        kinds[dataset].append(kind)
    rows = _counts(report.counts.by_dataset, ("dataset",))
    for row in rows:
        row["stored as"] = ", ".join(kinds[row["dataset"]]) or None
    return _table(rows, _COUNT_COLUMNS)


def _spreads(report: CurationReport) -> list[Row]:
    return [
        {
            "quantity": item.name.replace("_", " ") + (f", {item.unit}" if item.unit else ""),
            "modality": spread.group,
            "known": spread.known,
            "unknown": spread.unknown,
            **dict(zip(_QUANTILE_NAMES, spread.quantiles or (None,) * len(QUANTILES), strict=True)),
        }
        for item in report.distributions
        for spread in item.spreads
    ]


def _left_out(report: CurationReport) -> pa.Table:
    rows = [
        {
            "dataset": row.dataset,
            "reason": row.reason,
            "why": "an error to repair" if row.refused else "by rule",
            "count": row.count,
            "of": row.level + ("s" if row.count != 1 else ""),
            "meaning": row.meaning,
            "first": "; ".join(f"{where}: {detail}" for where, detail in row.examples[:1]),
        }
        for row in report.left_out
    ]
    return _table(rows, ("dataset", "reason"))


def _between(report: CurationReport) -> pa.Table:
    found = () if report.duplicates is None else report.duplicates.between
    rows = [
        {
            "relation": row.relation.replace("_", " "),
            "dataset": row.dataset,
            "other": row.other,
            "pairs of cases": row.case_pairs,
            "pairs of slices": row.slice_pairs,
            "cases of dataset": row.cases,
            "cases of other": row.other_cases,
        }
        for row in found
    ]
    return _table(rows, ("relation", "dataset"))


def _table(rows: list[Row], columns: Sequence[str]) -> pa.Table:
    """An Arrow table; without rows its columns are at least `columns`."""
    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    return pa.Table.from_pylist(rows)
