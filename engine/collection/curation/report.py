"""Everything the curation report says, as one value; its numbers are `report.json`."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np

from engine import __version__
from engine.collection.catalog import Catalog
from engine.collection.curation.counts import Counts, count
from engine.collection.curation.distributions import Distribution, distributions
from engine.collection.curation.duplicates import Duplicates, find
from engine.collection.curation.frame import Frame
from engine.collection.curation.left_out import LeftOut, left_out
from engine.collection.curation.pixels import SAMPLED_SLICES, Looked, look, sampled
from engine.collection.curation.suspects import Rule, suspects

Effort = Literal["off", "fast", "all"]

LISTED_PAIRS = 24
LISTED_SUSPECTS = 12

REPORT_VERSION = 1
"""Of the layout of `report.json`."""


@dataclass(frozen=True)
class CurationReport:
    """What a collection holds and what a person should look at.

    Attributes:
        collection, fingerprint: its name and the hash of its catalog.
        effort: how many slices were looked at: none, a few of each case, all.
        looked_slices: slices whose pixels were read. seconds: what that took.
        dtypes: (dataset, type of stored values, slices looked at).
        duplicates: None when nothing was looked at.
        unreadable: (array, message) of pixels that could not be read.
    """

    collection: str
    fingerprint: str
    effort: Effort
    counts: Counts
    datasets: tuple[dict[str, Any], ...]
    distributions: tuple[Distribution, ...]
    left_out: tuple[LeftOut, ...]
    looked_slices: int
    seconds: float
    dtypes: tuple[tuple[str, str, int], ...]
    duplicates: Duplicates | None
    rules: tuple[Rule, ...]
    unreadable: tuple[tuple[str, str], ...]

    def numbers(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        values = asdict(self)
        rows = [values["counts"]["total"]]
        for name, table in values["counts"].items():
            rows += table if name != "total" else []
        for row in rows:
            row["objects_taking_part"] = row["objects"] - row["small_objects"]
        return {"report_version": REPORT_VERSION, "samscope_version": __version__, **values}


def survey(
    path: str | os.PathLike[str],
    *,
    effort: Effort = "fast",
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[CurationReport, Frame]:
    """Examine a collection; returns the report and the joined tables it was made from.

    Args:
        path: folder or address of the collection.
        effort: `off` reads no pixels, `fast` a few slices of each case, `all` every slice.
        workers: threads; None: the CPUs.

    Raises:
        UserError: there is no collection at `path`.
    """
    catalog = Catalog.open(path)
    frame = Frame.of(catalog)
    started = time.monotonic()
    looked = None
    if effort != "off":
        rows = sampled(frame, SAMPLED_SLICES if effort == "fast" else None)
        looked = look(path, frame, rows, workers=workers, on_progress=on_progress)
    seconds = round(time.monotonic() - started, 1)
    report = CurationReport(
        collection=PurePath(path).name,
        fingerprint=catalog.fingerprint,
        effort=effort,
        counts=count(frame),
        datasets=tuple(frame.datasets.to_pylist()),
        distributions=distributions(frame),
        left_out=left_out(frame.exclusions),
        looked_slices=0 if looked is None else len(looked.rows),
        seconds=seconds,
        dtypes=() if looked is None else _dtypes(frame, looked),
        duplicates=None if looked is None else find(frame, looked, LISTED_PAIRS),
        rules=suspects(frame, looked, LISTED_SUSPECTS),
        unreadable=() if looked is None else looked.unreadable,
    )
    return report, frame


def _dtypes(frame: Frame, looked: Looked) -> tuple[tuple[str, str, int], ...]:
    dataset = frame.dataset.of[frame.case_of[looked.rows]]
    kinds, kind = np.unique(looked.dtypes, return_inverse=True)
    counts = Counter(zip(dataset.tolist(), kind.tolist(), strict=True))
    return tuple(
        (frame.dataset.names[at], str(kinds[which]), number)
        for (at, which), number in sorted(counts.items())
    )
