"""Arrow schemas of the part files: the rows an evaluator commits for one (unit, model, strategy).

Parts carry string ids; the finaliser replaces them by integer keys. Undefined is null, never NaN.
"""

from __future__ import annotations

import pyarrow as pa

from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.identity import fingerprint

SELECTIONS = ("oracle", "predicted_iou", "single")

POINT = pa.struct(
    [pa.field("x", pa.int32()), pa.field("y", pa.int32()), pa.field("positive", pa.bool_())]
)
BOX = pa.struct([pa.field(name, pa.int32()) for name in ("x0", "y0", "x1", "y1")])
PROMPT = pa.struct([pa.field("points", pa.list_(POINT)), pa.field("box", BOX)])

CANDIDATE = pa.struct(
    [
        pa.field("candidate", pa.int32()),
        pa.field("predicted_iou", pa.float64()),
        pa.field("tp", pa.int32()),
        pa.field("pred_px", pa.int32()),
    ]
)

DISTANCES = (
    "hausdorff_px", "hd95_px", "assd_px", "nsd", "hausdorff_mm", "hd95_mm", "assd_mm", "nsd_mm",
)  # fmt: skip

SELECTION = pa.struct(
    [
        pa.field("selection", pa.string()),
        pa.field("status", pa.string()),  # ok | empty_prediction | failed
        pa.field("candidate", pa.int32()),  # null: no candidate was selected
        pa.field("predicted_iou", pa.float64()),
        pa.field("tp", pa.int32()),  # null only when failed
        pa.field("pred_px", pa.int32()),
        *(pa.field(name, pa.float64()) for name in DISTANCES),
    ]
)

TRIALS = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("jitter_lo", pa.int32()),
        pa.field("jitter_hi", pa.int32()),
        pa.field("trial", pa.int32()),
        pa.field("step", pa.int32()),
        pa.field("status", pa.string()),  # ok | failed
        pa.field("notes", pa.list_(pa.string())),
        pa.field("prompt", PROMPT),
        pa.field("n_candidates", pa.int32()),
        pa.field("gt_px", pa.int32()),
        pa.field("candidates", pa.list_(CANDIDATE)),  # empty for Everything: see slice_candidates
        pa.field("selections", pa.list_(SELECTION)),
    ]
)

SLICE_CANDIDATES = pa.schema(
    [
        pa.field("slice_id", pa.string()),
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("candidate", pa.int32()),  # rank in protocol order, from 0
        pa.field("point_x", pa.float64()),
        pa.field("point_y", pa.float64()),
        pa.field("mask_index", pa.int32()),
        pa.field("predicted_iou", pa.float64()),
        pa.field("stability_score", pa.float64()),
        pa.field("pred_px", pa.int32()),
    ]
)

OVERLAPS = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("candidate", pa.int32()),
        pa.field("tp", pa.int32()),  # > 0
    ]
)

STAGES = (
    "read", "embed", "prompt", "decode", "score", "factors",
    "evaluate",  # outside the guards above
    "commit",  # the ledger refused the rows
    "worker",  # the process died
)  # fmt: skip

FAILURES = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("slice_id", pa.string()),
        pa.field("object_id", pa.string()),  # null: the whole slice
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("stage", pa.string()),  # see STAGES
        pa.field("error", pa.string()),  # exception type
        pa.field("message", pa.string()),
        pa.field("n_trials", pa.int32()),  # trials this failure took with it
    ]
)

FACTORS = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("aspect_ratio", pa.float64()),
        pa.field("intensity_difference", pa.float64()),  # levels; null: the surround is empty
        pa.field("fourier_order", pa.float64()),
        pa.field("fourier_order_97", pa.int32()),  # null: no order up to 64 is good enough
        pa.field("n_components", pa.int32()),  # 8-connected
        pa.field("n_holes", pa.int32()),
        pa.field("perimeter_px", pa.int32()),  # pixel edges, the image's border included
        pa.field("compactness", pa.float64()),  # 4 pi area / perimeter^2, at most pi / 4
        pa.field("solidity", pa.float64()),  # share of the convex hull of pixel corners, (0, 1]
        pa.field("touches_border", pa.bool_()),
        pa.field("center_inside", pa.bool_()),  # the prompts' centre is in the object
        pa.field("area_fraction", pa.float64()),  # share of the image, (0, 1]
        pa.field("boundary_gradient", pa.float64()),  # levels per pixel
        pa.field("contrast_to_noise", pa.float64()),  # null: surround empty or constant
        pa.field("flat", pa.bool_()),  # the slice is constant under the study's intensity rule
    ]
)

PART_SCHEMAS = {
    "trials": TRIALS,
    "slice_candidates": SLICE_CANDIDATES,
    "overlaps": OVERLAPS,
    "failures": FAILURES,
    "factors": FACTORS,
}

DATABASE_RULES = 4
"""Raised when rows of the database follow from the same parts in another way."""


def database_version() -> str:
    """Names the tables of a database; one of another version is not extended but built anew."""
    columns = {name: str(schema) for name, schema in (CATALOG_SCHEMAS | PART_SCHEMAS).items()}
    return f"{DATABASE_RULES}-{fingerprint(columns)[:12]}"
