"""Arrow schemas of the catalog: Parquet tables in `COLLECTION/catalog/`."""

from __future__ import annotations

import pyarrow as pa

DATASETS = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("title", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("source", pa.string()),
        pa.field("recipe_version", pa.int32()),
        pa.field("recipe_sha256", pa.string()),
    ]
)

CASES = pa.schema(
    [
        pa.field("case_id", pa.string()),  # {dataset}/{case}
        pa.field("dataset", pa.string()),
        pa.field("case", pa.string()),
        pa.field("subject_id", pa.string()),  # {dataset}/{subject}
        pa.field("modality", pa.string()),
        pa.field("plane", pa.string()),  # axial | coronal | sagittal | image
        pa.field("spacing_slice_mm", pa.float64()),
        pa.field("n_slices", pa.int32()),  # slices of the case in the array
        pa.field("volume_lo", pa.float64()),  # extremes over the whole case, source values
        pa.field("volume_hi", pa.float64()),
        pa.field("data_sha256", pa.string()),  # of the stored image and label values
        pa.field("source_files", pa.list_(pa.string())),
        pa.field("split", pa.string()),  # official split; null where the dataset has none
    ]
)

SLICES = pa.schema(
    [
        pa.field("slice_id", pa.string()),
        pa.field("case_id", pa.string()),
        pa.field("array_path", pa.string()),  # group inside the collection, holds image and labels
        pa.field("index", pa.int32()),  # position along the array's slice axis
        pa.field("slice", pa.int32()),  # index in the oriented case (part of slice_id)
        pa.field("unit_id", pa.string()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("channels", pa.int32()),  # 1 or 3
        pa.field("lo", pa.float64()),  # extremes of this slice, source values
        pa.field("hi", pa.float64()),
        pa.field("spacing_row_mm", pa.float64()),
        pa.field("spacing_col_mm", pa.float64()),
        pa.field("flags", pa.list_(pa.string())),  # e.g. flat
    ]
)

OBJECTS = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("entity_id", pa.string()),
        pa.field("slice_id", pa.string()),
        pa.field("structure", pa.string()),
        pa.field("instance", pa.int32()),
        pa.field("layer", pa.int32()),
        pa.field("value", pa.int32()),
        pa.field("area_px", pa.int32()),
        pa.field(
            "bbox",
            pa.struct([pa.field(n, pa.int32()) for n in ("x0", "y0", "x1", "y1")]),  # inclusive
        ),
    ]
)

UNITS = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("dataset", pa.string()),
        pa.field("n_slices", pa.int32()),
        pa.field("data_sha256", pa.string()),  # of the unit's stored image and label values
    ]
)

EXCLUSIONS = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("case_id", pa.string()),  # null: the whole dataset
        pa.field("slice_id", pa.string()),  # null: the whole case
        pa.field("object_id", pa.string()),  # null: the whole slice
        pa.field("reason", pa.string()),  # code
        pa.field("detail", pa.string()),
        pa.field("refused", pa.bool_()),  # True: an error to repair; False: excluded by rule
    ]
)

CATALOG_SCHEMAS = {
    "datasets": DATASETS,
    "cases": CASES,
    "slices": SLICES,
    "objects": OBJECTS,
    "units": UNITS,
    "exclusions": EXCLUSIONS,
}
