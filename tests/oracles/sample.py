"""Slow, obvious sampling of a study over catalog rows given as dicts (protocol 1.5, section 2)."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def even(items: list[Any], m: int | None) -> list[Any]:
    """At most m items, spread evenly."""
    if m is None or m >= len(items):
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * m)] for i in range(m)]


def taken_objects(
    rows: dict[str, list[Row]],
    *,
    datasets: tuple[str, ...] | None,
    min_object_px: int,
    cases_per_dataset: int | None,
    slices_per_case: int | None,
    objects_per_slice: int | None,
    modalities: tuple[str, ...] | None = None,
    subjects: tuple[str, ...] | None = None,
) -> dict[str, list[str]]:
    """slice_id -> object_ids that take part."""
    out: dict[str, list[str]] = {}
    for dataset in sorted(row["dataset"] for row in rows["datasets"]):
        if datasets is not None and dataset not in datasets:
            continue
        of_case: dict[str, dict[str, list[str]]] = {}
        for case in sorted(
            row["case_id"]
            for row in rows["cases"]
            if row["dataset"] == dataset
            and (modalities is None or row["modality"] in modalities)
            and (subjects is None or row["subject_id"] in subjects)
        ):
            slices = [row for row in rows["slices"] if row["case_id"] == case]
            for one in sorted(slices, key=lambda row: row["slice"]):
                big = [
                    row["object_id"]
                    for row in rows["objects"]
                    if row["slice_id"] == one["slice_id"] and row["area_px"] > min_object_px
                ]
                if big:
                    of_case.setdefault(case, {})[one["slice_id"]] = sorted(big)
        for case in even(sorted(of_case), cases_per_dataset):
            for one in even(list(of_case[case]), slices_per_case):
                out[one] = even(of_case[case][one], objects_per_slice)
    return out
