"""The catalog rows of one bundle: its cases, slices, objects, units and excluded slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.collection.bundle import Bundle
from engine.collection.case import CuratedCase, Label
from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.checksum import combine, slice_digest
from engine.collection.units import plan_units
from engine.identity import case_id, entity_id, object_id, quote_name, slice_id

Row = dict[str, Any]
Rows = dict[str, list[Row]]
Meanings = dict[tuple[int, int], Label]


def take_inventory(bundle: Bundle, unit_slices: int) -> Rows:
    """Catalog rows of a bundle of checked cases, by table; slices in array order."""
    rows: Rows = {name: [] for name in CATALOG_SCHEMAS}
    meanings = [_meanings(case) for case in bundle.cases]
    digests = []
    for position, image in enumerate(bundle.image):
        case, index = bundle.origin(position)
        labels = bundle.labels[:, position]
        digests.append(slice_digest(image, labels))
        row = _slice_row(bundle.array_path, position, case, index, image)
        objects = _object_rows(case, index, labels, meanings[position if bundle.is_group else 0])
        rows["slices"].append(row)
        rows["objects"].extend(objects)
        if not objects:
            code, detail = "slice_without_objects", "no labelled pixel"
            rows["exclusions"].append(
                exclusion(case.dataset, code, detail, row["case_id"], row["slice_id"])
            )
    _add_units(rows, bundle, digests, unit_slices)
    _add_cases(rows, bundle, digests)
    return rows


def measure_labels(labels: NDArray[np.unsignedinteger]) -> list[tuple[int, int, dict[str, int]]]:
    """(value, area_px, bbox) of every non-zero value in uint[y, x]; bbox inclusive, x0 y0 x1 y1."""
    counts = np.bincount(labels.ravel())
    values = np.flatnonzero(counts[1:]) + 1
    # find_objects lists every value up to the largest: number the present ones from 1 instead.
    dense = np.zeros(len(counts), np.int32)
    dense[values] = np.arange(1, len(values) + 1)
    boxes = ndimage.find_objects(dense[labels])
    return [
        (int(value), int(counts[value]), _inclusive(box))
        for value, box in zip(values, boxes, strict=True)
    ]


def exclusion(
    dataset: str,
    reason: str,
    detail: str,
    case_id: str | None = None,
    slice_id: str | None = None,
    *,
    refused: bool = False,
) -> Row:
    """One row of the `exclusions` table."""
    return {
        "dataset": dataset,
        "case_id": case_id,
        "slice_id": slice_id,
        "object_id": None,
        "reason": reason,
        "detail": detail,
        "refused": refused,
    }


def _inclusive(box: tuple[slice, slice]) -> dict[str, int]:
    rows, columns = box
    return {"x0": columns.start, "y0": rows.start, "x1": columns.stop - 1, "y1": rows.stop - 1}


def _meanings(case: CuratedCase) -> Meanings:
    return {(label.layer, label.value): label for label in case.meaning}


def _slice_row(
    array_path: str, position: int, case: CuratedCase, index: int, image: NDArray[Any]
) -> Row:
    lo, hi = float(image.min()), float(image.max())
    return {
        "slice_id": slice_id(case.dataset, case.case, index),
        "case_id": case_id(case.dataset, case.case),
        "array_path": array_path,
        "index": position,
        "slice": index,
        "unit_id": None,
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": 1 if image.ndim == 2 else image.shape[2],
        "lo": lo,
        "hi": hi,
        "spacing_row_mm": case.spacing_mm[1],
        "spacing_col_mm": case.spacing_mm[2],
        "flags": ["flat"] if (image == image[0, 0]).all() else [],
    }


def _object_rows(
    case: CuratedCase, index: int, labels: NDArray[np.unsignedinteger], meanings: Meanings
) -> list[Row]:
    rows = []
    for layer, plane in enumerate(labels):
        for value, area, bbox in measure_labels(plane):
            label = meanings[layer, value]
            name, instance = label.structure, label.instance
            rows.append(
                {
                    "object_id": object_id(case.dataset, case.case, index, name, instance),
                    "entity_id": entity_id(case.dataset, case.case, name, instance),
                    "slice_id": slice_id(case.dataset, case.case, index),
                    "structure": name,
                    "instance": instance,
                    "layer": layer,
                    "value": value,
                    "area_px": area,
                    "bbox": bbox,
                }
            )
    return rows


def _add_units(rows: Rows, bundle: Bundle, digests: list[bytes], unit_slices: int) -> None:
    slices = rows["slices"]
    with_objects = {row["slice_id"] for row in rows["objects"]}
    units = plan_units(
        bundle.dataset,
        [row["slice_id"] for row in slices],
        digests,
        [row["slice_id"] in with_objects for row in slices],
        (bundle.image.nbytes + bundle.labels.nbytes) // len(slices),
        unit_slices,
    )
    for unit in units:
        for place in unit.positions:
            slices[place]["unit_id"] = unit.unit_id
        rows["units"].append(
            {
                "unit_id": unit.unit_id,
                "dataset": bundle.dataset,
                "n_slices": len(unit.positions),
                "data_sha256": unit.data_sha256,
            }
        )


def _add_cases(rows: Rows, bundle: Bundle, digests: list[bytes]) -> None:
    for place, case in enumerate(bundle.cases):
        own = slice(place, place + 1) if bundle.is_group else slice(None)
        slices = rows["slices"][own]
        rows["cases"].append(
            {
                "case_id": case_id(case.dataset, case.case),
                "dataset": case.dataset,
                "case": case.case,
                "subject_id": f"{quote_name(case.dataset)}/{quote_name(case.subject)}",
                "modality": case.modality,
                "plane": case.plane,
                "spacing_slice_mm": case.spacing_mm[0],
                "n_slices": len(slices),
                "volume_lo": min(row["lo"] for row in slices),
                "volume_hi": max(row["hi"] for row in slices),
                "data_sha256": combine(digests[own]),
                "source_files": [source.path for source in case.sources],
                "split": case.split,
            }
        )
