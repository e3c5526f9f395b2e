"""Compare what an ingest stored with what a replica's maker knows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.catalog import Catalog
from engine.collection.contract import SliceRef
from engine.collection.ingest import ingest
from engine.collection.reading import read_slices
from engine.collection.recipe import Recipe
from engine.collection.replica import TrueCase
from engine.identity import case_id


def ingested(recipe: Recipe, raw: Path, out: Path) -> tuple[list[str], Catalog]:
    """(what went wrong, the catalog) of a real ingest."""
    said: list[str] = []

    def hear(event: object) -> None:
        if getattr(event, "outcome", "") == "refused":
            said.append(f"refused {event.case}: {event.detail}")  # type: ignore[attr-defined]

    ingest(recipe, raw, out, on_progress=hear)
    return said, Catalog.open(out)


def differences(recipe: Recipe, truth: tuple[TrueCase, ...], catalog: Catalog) -> list[str]:
    """One line per case that is not as it was drawn; empty: all is well."""
    found = {row["case_id"]: row for row in catalog.cases.to_pylist()}
    wanted = {case_id(recipe.dataset, case.case): case for case in truth}
    out = [f"not found: {name}" for name in wanted.keys() - found.keys()]
    out += [f"found, but never drawn: {name}" for name in found.keys() - wanted.keys()]
    slices: dict[str, list[dict[str, Any]]] = {}
    for row in catalog.slices.to_pylist():
        slices.setdefault(row["case_id"], []).append(row)
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in catalog.objects.to_pylist():
        objects.setdefault(row["slice_id"], []).append(row)
    for name in sorted(wanted.keys() & found.keys()):
        rows = sorted(slices[name], key=lambda row: row["slice"])
        out += [f"{name}: {text}" for text in _case(wanted[name], found[name], recipe)]
        out += [f"{name}: {text}" for text in _pixels(wanted[name], rows, objects, catalog.path)]
    return out


def _case(true: TrueCase, row: dict[str, Any], recipe: Recipe) -> list[str]:
    pairs = {
        "subject": (row["subject_id"], case_id(recipe.dataset, true.subject)),
        "modality": (row["modality"], true.modality),
        "plane": (row["plane"], true.plane),
        "split": (row.get("split"), true.split),
    }
    return [f"{k} is {got!r}, drawn {want!r}" for k, (got, want) in pairs.items() if got != want]


def _pixels(
    true: TrueCase,
    rows: list[dict[str, Any]],
    objects: dict[str, list[dict[str, Any]]],
    path: Path,
) -> list[str]:
    refs = [_ref(row) for row in rows]
    out = []
    if [row["slice"] for row in rows] != list(range(true.shape[0])):
        return [f"{len(rows)} slices, drawn {true.shape[0]}"]
    counted: Counter[tuple[int, str, int, int]] = Counter()
    for row, pixels in zip(rows, read_slices(path, refs), strict=True):
        index = row["slice"]
        size = (row["height"], row["width"])
        if size != true.shape[1:]:
            return [f"slices of {size}, drawn {true.shape[1:]}"]
        spacing = (row["spacing_row_mm"], row["spacing_col_mm"])
        if not _close(spacing, true.spacing_mm[1:]):
            out.append(f"spacing {spacing}, drawn {true.spacing_mm[1:]}")
        if not _looks(pixels.image, true.image[index], lossy=true.lossy):
            out.append(f"slice {index}: other grey values or colours")
        for one in objects.get(row["slice_id"], []):
            key = (one["structure"], one["instance"])
            counted[index, *key, one["area_px"]] += 1
            mask = pixels.labels[one["layer"]] == one["value"]
            drawn = true.masks.get(key)
            if drawn is None or not np.array_equal(mask, drawn[index]):
                out.append(f"slice {index}: {key} is not as it was drawn")
    wanted = Counter(true.objects())
    out += [f"missing {what}" for what in (wanted - counted)]
    out += [f"never drawn {what}" for what in (counted - wanted)]
    return out


def _looks(got: NDArray[Any], drawn: NDArray[Any], *, lossy: bool) -> bool:
    """The same values; of a lossy format the same picture, which an exchange of channels is not."""
    if not lossy:
        return np.array_equal(got, drawn)
    if got.ndim > drawn.ndim:
        got = got.mean(axis=-1)
    return got.shape == drawn.shape and float(np.abs(got - drawn.astype(float)).mean()) < 6


def _ref(row: dict[str, Any]) -> SliceRef:
    size = {"height": row["height"], "width": row["width"]}
    unknown = dict.fromkeys(("volume_lo", "volume_hi", "spacing_row_mm", "spacing_col_mm"))
    words = {"slice_id": row["slice_id"], "modality": "", "objects": ()}
    return SliceRef(array_path=row["array_path"], index=row["index"], **size, **unknown, **words)


def _close(got: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    return all(
        a is b if a is None or b is None else abs(float(str(a)) - float(str(b))) < 1e-4
        for a, b in zip(got, wanted, strict=True)
    )
