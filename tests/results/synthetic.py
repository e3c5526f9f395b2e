"""A small run made up by hand: catalog, plan and committed parts with plausible rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.identity import case_id, entity_id, fingerprint, object_id, slice_id
from engine.planning.tasks import PlannedCell
from engine.results.parts import Cell, PartStore
from engine.results.record import PLANNED, PlanSummary, RunRecord
from engine.results.rows import part_tables
from engine.study import JitterLevel, Strategy, Study

Row = dict[str, Any]

HEIGHT, WIDTH = 64, 80
SKIPPED = Cell("abdomen_ct/p1/u0", "tuned", "box")
STRUCTURES = ("liver", "left kidney")
DATASETS = (
    # name, modality, spacing (row, col), subjects, slices per case
    ("abdomen_ct", "CT", (0.8, 1.5), 3, 4),
    ("skin/photo", "dermoscopy", (None, None), 2, 3),
)
SEEN_SUBJECT = case_id("skin/photo", "p1")
"""The one subject of its dataset that `tuned` says it has seen; of abdomen_ct it names none."""


def study(**changes: Any) -> Study:
    """Two models, three strategies, two jitter levels."""
    raw: dict[str, Any] = {
        "name": "synthetic",
        "seed": 7,
        "models": [
            {"name": "tiny"},
            {"name": "tuned", "model": "tiny", "checkpoint": "tuned.pt"},
        ],
        "strategies": ["everything", "point_1", "box"],
        "jitter": {"levels": [[0, 0], [0, 10]], "trials": 2},
    }
    return Study.model_validate({**raw, **changes})


@dataclass
class Synthetic:
    """A run directory with everything `build` needs, and the rows it was made of."""

    run_dir: Path
    catalog: Path
    study: Study
    run: RunRecord
    plan: PlanSummary
    cells: list[PlannedCell]
    store: PartStore
    trials: list[Row] = field(default_factory=list)
    objects: dict[str, Row] = field(default_factory=dict)
    slices: dict[str, Row] = field(default_factory=dict)
    cases: dict[str, Row] = field(default_factory=dict)

    def build(self) -> Path:
        from engine.results.build import build

        return build(self.run, self.plan, self.catalog, self.run_dir)

    def build_anew(self) -> Path:
        """As if there were no database yet."""
        (self.run_dir / "results.duckdb").unlink()
        return self.build()


def make(
    folder: Path,
    *,
    seed: int = 0,
    of: Study | None = None,
    leave_out: Callable[[Cell], bool] = lambda cell: False,
    fail_rate: float = 0.05,
    empty_rate: float = 0.1,
) -> Synthetic:
    """Write a catalog and commit all cells but those `leave_out` names."""
    chosen = of or study()
    tables = catalog_rows(np.random.Generator(np.random.PCG64(seed)))
    catalog = folder / "catalog"
    catalog.mkdir(parents=True)
    for name, schema in CATALOG_SCHEMAS.items():
        table = pa.Table.from_pylist(tables[name], schema=schema)
        pq.write_table(table, catalog / f"{name}.parquet")
    units: dict[str, list[Row]] = {}
    unit_of = {row["slice_id"]: row["unit_id"] for row in tables["slices"]}
    for row in tables["objects"]:
        if row["area_px"] > chosen.min_object_px:
            units.setdefault(unit_of[row["slice_id"]], []).append(row)
    run_dir = folder / "run"
    cells = cells_of(chosen, units)
    out = Synthetic(
        run_dir=run_dir,
        catalog=catalog,
        study=chosen,
        run=run_record(chosen),
        plan=summary(cells, [row["object_id"] for rows in units.values() for row in rows]),
        cells=cells,
        store=PartStore(run_dir, {"scoring": 1}),
        objects={row["object_id"]: row for rows in units.values() for row in rows},
        slices={row["slice_id"]: row for row in tables["slices"]},
        cases={row["case_id"]: row for row in tables["cases"]},
    )
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    for planned in out.cells:
        rows = cell_rows(chosen, planned.cell, units[planned.cell.unit_id], rng, fail_rate,
                         empty_rate)  # fmt: skip
        if leave_out(planned.cell):
            continue
        info = {
            "seconds": {"read": 0.02, "embed": 1.5, "decode": 0.5, "score": 0.1},
            "worker": "host:1", "pid": 1, "peak_memory_bytes": 2**30,
        }  # fmt: skip
        with mock.patch("os.fsync"):  # slow, and nobody pulls the plug here
            assert out.store.commit(
                planned.cell, planned.identity, part_tables(rows), info, expected=planned.expected
            )
        out.trials += rows.get("trials", [])
    return out


def run_record(chosen: Study) -> RunRecord:
    cards = [
        {
            "name": model.name, "architecture": model.model, "input_size": 64,
            "weights_sha256": fingerprint([model.name]), "precision": "float32",
            "trained_on": ("abdomen_ct", "skin/photo") if model.checkpoint else (),
            "trained_subjects": (SEEN_SUBJECT,) if model.checkpoint else (), "parameters": 1000,
        }
        for model in chosen.models
    ]  # fmt: skip
    return RunRecord(
        study=chosen.model_dump(mode="json"),
        models=cards,
        numerics={m.name: {"device": "cpu", "dtype": "float32"} for m in chosen.models},
        collection_path="collection.zarr",
        collection_sha256="c" * 64,
        created="2026-11-23T10:00:00+00:00",
        samscope_version="0.1.0",
        algorithm_versions={"scoring": 1, "prompts": 1},
        wall_s=12.5,
    )


def cells_of(chosen: Study, units: dict[str, list[Row]]) -> list[PlannedCell]:
    cells = []
    for unit_id, objects in units.items():
        factors = Cell.factors(unit_id)
        cells.append(PlannedCell(factors, identity_of(factors), len(objects)))
        for model in chosen.models:
            for strategy in chosen.strategies_of(model):
                cell = Cell(unit_id, model.name, strategy.name)
                trials = sum(1 for _ in chosen.jitter.trials_of(strategy))
                cells.append(PlannedCell(cell, identity_of(cell), trials * len(objects)))
    return cells


def summary(cells: Sequence[PlannedCell], object_ids: Sequence[str]) -> PlanSummary:
    """What the finaliser is told of these cells and objects, one object excluded."""
    small = {
        "dataset": "abdomen_ct", "case_id": "abdomen_ct/p0", "slice_id": None, "object_id": None,
        "reason": "small_object", "detail": "41 px <= 50 px", "refused": False,
    }  # fmt: skip
    exclusions = pa.Table.from_pylist([small], CATALOG_SCHEMAS["exclusions"])
    return PlanSummary(cell_table(cells), pa.array(object_ids, pa.string()), exclusions)


def cell_table(cells: Sequence[PlannedCell]) -> pa.Table:
    """Rows of `PLANNED`."""
    rows = [
        {**asdict(item.cell), "identity": item.identity, "expected": item.expected}
        for item in cells
    ]
    return pa.Table.from_pylist(rows, schema=PLANNED)


def identity_of(cell: Cell, version: int = 1) -> str:
    return fingerprint([cell.unit_id, cell.model, cell.strategy, version])


def catalog_rows(rng: np.random.Generator) -> dict[str, list[Row]]:
    """Rows of every catalog table; one unit per case, one object too small per dataset."""
    tables: dict[str, list[Row]] = {name: [] for name in CATALOG_SCHEMAS}
    for dataset, modality, spacing, n_subjects, n_slices in DATASETS:
        tables["datasets"].append({"dataset": dataset, "title": dataset, "licence": "CC0"})
        for number in range(n_subjects):
            _add_case(tables, rng, dataset, modality, spacing, f"p{number}", n_slices)
    tables["exclusions"].append(
        {"dataset": "abdomen_ct", "case_id": "abdomen_ct/p9", "reason": "geometry_mismatch",
         "detail": "shape (3, 4, 5) and (3, 4, 6)", "refused": True}
    )  # fmt: skip
    return tables


def _add_case(
    tables: dict[str, list[Row]],
    rng: np.random.Generator,
    dataset: str,
    modality: str,
    spacing: tuple[float | None, float | None],
    case: str,
    n_slices: int,
) -> None:
    key = case_id(dataset, case)
    tables["cases"].append(
        {"case_id": key, "dataset": dataset, "case": case, "subject_id": key,
         "modality": modality, "plane": "axial", "n_slices": n_slices}
    )  # fmt: skip
    tables["units"].append({"unit_id": f"{key}/u0", "dataset": dataset, "n_slices": n_slices})
    for index in range(n_slices):
        where = slice_id(dataset, case, index)
        tables["slices"].append(
            {"slice_id": where, "case_id": key, "array_path": key, "index": index,
             "slice": index, "unit_id": f"{key}/u0", "height": HEIGHT, "width": WIDTH,
             "channels": 1, "spacing_row_mm": spacing[0], "spacing_col_mm": spacing[1],
             "flags": []}
        )  # fmt: skip
        for layer, structure in enumerate(STRUCTURES):
            small = index == 0 and layer == 1 and case == "p0"
            tables["objects"].append(
                {"object_id": object_id(dataset, case, index, structure),
                 "entity_id": entity_id(dataset, case, structure), "slice_id": where,
                 "structure": structure, "instance": 0, "layer": layer, "value": 1,
                 "area_px": 41 if small else int(rng.integers(60, 900)),
                 "bbox": {"x0": 1, "y0": 2, "x1": 30, "y1": 31}}
            )  # fmt: skip


def cell_rows(
    chosen: Study,
    cell: Cell,
    objects: list[Row],
    rng: np.random.Generator,
    fail_rate: float,
    empty_rate: float,
) -> dict[str, list[Row]]:
    """Rows of one cell by part; every trial present, some failed, some empty."""
    if cell.is_factors:
        return {"factors": [_factors(row, rng) for row in objects]}
    strategy = chosen.strategy(cell.strategy)
    tables: dict[str, list[Row]] = {
        "trials": [], "failures": [], "slice_candidates": [], "overlaps": []
    }  # fmt: skip
    masks = _everything_masks(tables, cell, objects, rng) if not strategy.prompted else None
    for row in objects:
        for level, trial in chosen.jitter.trials_of(strategy):
            base = _trial(cell, row, level, trial)
            if rng.random() < fail_rate:
                tables["trials"].append(failed(base, strategy))
                tables["failures"].append(_failure(cell, row))
                continue
            candidates = (
                _candidates(row, level, rng, empty_rate)
                if masks is None
                else _overlaps(tables, cell, row, masks, rng)
            )
            known = row["slice_id"].startswith("abdomen")
            base["selections"] = _select(candidates, row, strategy, rng, known)
            base["n_candidates"] = len(candidates)
            base["candidates"] = candidates if masks is None else []
            tables["trials"].append(base)
    return tables


def _trial(cell: Cell, row: Row, level: JitterLevel, trial: int) -> Row:
    return {
        "object_id": row["object_id"], "model": cell.model, "strategy": cell.strategy,
        "jitter_lo": level.lo, "jitter_hi": level.hi, "trial": trial, "step": 0,
        "status": "ok", "notes": [], "gt_px": row["area_px"],
        "prompt": {"points": [{"x": 3, "y": 4, "positive": True}], "box": None},
    }  # fmt: skip


def failed(base: Row, strategy: Strategy) -> Row:
    names = ("oracle", "predicted_iou", *(("single",) if strategy.prompted else ()))
    selections = [{"selection": name, "status": "failed"} for name in names]
    return {**base, "status": "failed", "notes": ["out_of_memory"], "n_candidates": 0,
            "candidates": [], "selections": selections}  # fmt: skip


def _failure(cell: Cell, row: Row) -> Row:
    return {
        "unit_id": cell.unit_id, "slice_id": row["slice_id"], "object_id": row["object_id"],
        "model": cell.model, "strategy": cell.strategy, "stage": "decode",
        "error": "RuntimeError", "message": "out of memory", "n_trials": 1,
    }  # fmt: skip


def _candidates(
    row: Row, level: JitterLevel, rng: np.random.Generator, empty_rate: float
) -> list[Row]:
    """Four masks, better for big objects and worse with jitter; sometimes empty ones."""
    out = []
    quality = 0.9 - 0.01 * level.hi - 0.1 * (row["structure"] != "liver")
    for index in range(4):
        hit = float(np.clip(rng.normal(quality, 0.15), 0, 1))
        tp = round(hit * row["area_px"])
        pred = 0 if rng.random() < empty_rate else tp + int(rng.integers(1, 200))
        out.append(
            {"candidate": index, "predicted_iou": float(np.clip(rng.normal(hit, 0.2), 0, 1)),
             "tp": tp if pred else 0, "pred_px": pred}
        )  # fmt: skip
    return out


def _everything_masks(
    tables: dict[str, list[Row]], cell: Cell, objects: list[Row], rng: np.random.Generator
) -> dict[str, list[Row]]:
    masks: dict[str, list[Row]] = {}
    for where in sorted({row["slice_id"] for row in objects}):
        ious = sorted(map(float, rng.uniform(0.88, 1, rng.integers(0, 4))), reverse=True)
        masks[where] = [
            {"slice_id": where, "model": cell.model, "strategy": cell.strategy,
             "candidate": rank, "point_x": 2.5, "point_y": 3.5, "mask_index": 1,
             "predicted_iou": iou, "stability_score": 0.97, "pred_px": int(rng.integers(900, 1800))}
            for rank, iou in enumerate(ious)
        ]  # fmt: skip
        tables["slice_candidates"] += masks[where]
    return masks


def _overlaps(
    tables: dict[str, list[Row]],
    cell: Cell,
    row: Row,
    masks: dict[str, list[Row]],
    rng: np.random.Generator,
) -> list[Row]:
    out = []
    for mask in masks[row["slice_id"]]:
        tp = int(rng.integers(0, row["area_px"])) if rng.random() < 0.7 else 0
        if tp:
            tables["overlaps"].append(
                {"object_id": row["object_id"], "model": cell.model, "strategy": cell.strategy,
                 "candidate": mask["candidate"], "tp": tp}
            )  # fmt: skip
        out.append({k: mask[k] for k in ("candidate", "predicted_iou", "pred_px")} | {"tp": tp})
    return out


def _select(
    candidates: list[Row], row: Row, strategy: Strategy, rng: np.random.Generator, mm: bool
) -> list[Row]:
    several = candidates[:3] if strategy.prompted else candidates
    picks: dict[str, Row | None] = {"oracle": None, "predicted_iou": None}
    if several:
        gt_px = row["area_px"]
        picks["oracle"] = max(several, key=lambda c: 2 * c["tp"] / (c["pred_px"] + gt_px))
        picks["predicted_iou"] = max(several, key=lambda c: c["predicted_iou"])
    if strategy.prompted:
        picks["single"] = candidates[3]
    return [_selection(name, pick, rng, mm) for name, pick in picks.items()]


def _selection(name: str, pick: Row | None, rng: np.random.Generator, mm: bool) -> Row:
    if pick is None or pick["pred_px"] == 0:
        return {
            "selection": name, "status": "empty_prediction", "tp": 0, "pred_px": 0, "nsd": 0.0,
            "nsd_mm": 0.0 if mm else None,
            "candidate": None if pick is None else pick["candidate"],
            "predicted_iou": None if pick is None else pick["predicted_iou"],
        }  # fmt: skip
    far = float(rng.uniform(1, 40))
    pixels = {"hausdorff_px": far, "hd95_px": far * 0.8, "assd_px": far * 0.3, "nsd": 1 / far}
    metric = {"hausdorff_mm": far * 2, "hd95_mm": far * 1.6, "assd_mm": far * 0.6, "nsd_mm": 0.5}
    return {
        "selection": name, "status": "ok", **pick, **pixels,
        **(metric if mm else dict.fromkeys(metric)),
    }  # fmt: skip


def _factors(row: Row, rng: np.random.Generator) -> Row:
    return {
        "object_id": row["object_id"], "aspect_ratio": float(rng.uniform(0.2, 1)),
        "intensity_difference": None if rng.random() < 0.1 else float(rng.normal(20, 10)),
        "fourier_order": float(rng.uniform(1, 20)), "fourier_order_97": None, "flat": False,
        "n_components": int(rng.integers(1, 4)), "n_holes": int(rng.integers(0, 3)),
        "perimeter_px": int(rng.integers(40, 400)), "compactness": float(rng.uniform(0.1, 0.7)),
        "solidity": float(rng.uniform(0.4, 1)), "touches_border": bool(rng.random() < 0.2),
        "center_inside": bool(rng.random() < 0.9), "area_fraction": float(rng.uniform(0, 0.3)),
        "boundary_gradient": float(rng.uniform(1, 40)),
        "contrast_to_noise": None if rng.random() < 0.1 else float(rng.normal(2, 1)),
    }  # fmt: skip
