"""What the finaliser is told: the run, and the cells and objects its plan consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from engine.identity import PROTOCOL_VERSION
from engine.results.manifest import Manifest


@dataclass(frozen=True)
class RunRecord:
    """All that defines a run's numbers, and where it was made.

    Attributes:
        study: `Study.model_dump(mode="json")`.
        models: one mapping per model with the fields of `engine.models.base.Card` (name,
            architecture, weights_sha256, trained_on, ...). An optional `untrained` overrules the
            rule that a model without a checkpoint in the study has untrained weights.
        numerics: model name -> device class, dtype, kernels, batch shapes.
        collection_path: as the user gave it.
        collection_sha256: checksum of the catalog.
        created: ISO 8601 time at which the run began.
        wall_s: seconds the evaluation took, all resumptions together; None where unknown.
        parity: rows with the columns of the table `parity`; more are left out.
    """

    study: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    numerics: Mapping[str, Mapping[str, Any]]
    collection_path: str
    collection_sha256: str
    created: str
    samscope_version: str
    protocol_version: int = PROTOCOL_VERSION
    algorithm_versions: Mapping[str, int] = field(default_factory=dict)
    wall_s: float | None = None
    parity: Sequence[Mapping[str, Any]] = ()


PLANNED = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("identity", pa.string()),  # that makes its rows valid now
        pa.field("expected", pa.int64()),  # trials, done or failed; objects for the factors cell
    ]
)


@dataclass(frozen=True)
class PlanSummary:
    """The population of a study and the cells that measure it.

    Attributes:
        cells: rows of `PLANNED`: every cell, committed or not, the factors cells included.
        object_ids: the objects the study evaluates (after `min_object_px` and `sample`), strings.
        exclusions: rows of `engine.collection.catalog_schema.EXCLUSIONS` that the study adds to
            those of the catalog, such as objects below `min_object_px`; None: none.
        admits: whether a manifest's rows are valid for its cell, in a study of mixed numerics,
            whose cells may have several identities; None: each has the one of `cells` alone.
    """

    cells: pa.Table
    object_ids: pa.Array | pa.ChunkedArray
    exclusions: pa.Table | None = None
    admits: Callable[[Manifest], bool] | None = None
