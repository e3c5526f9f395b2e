"""Counters of the evaluators for Prometheus, at every node's Ray metrics port.

Ray adds its prefix: `samscope_units` is scraped as `ray_samscope_units_total`. Sums of seconds are
counters because the sum of Ray's histograms is one of bucket middles, not of what was observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Counter, Gauge, Histogram

BOUNDARIES_S = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0]
"""Of the histogram of a unit's seconds."""


class Metrics:
    """What one evaluator has done; without Ray it counts for nobody."""

    def __init__(self) -> None:
        self._units = Counter("samscope_units", "Units committed")
        self._slices = Counter("samscope_slices", "Slices of the units committed")
        self._trials = Counter("samscope_trials", "Trials committed", ("status",))
        self._failures = Counter("samscope_failed_trials", "Trials failed", ("stage",))
        self._stages = Counter("samscope_stage_seconds", "Seconds of evaluators", ("stage",))
        self._seconds = Histogram(
            "samscope_unit_seconds", "Seconds of an evaluator for a unit", BOUNDARIES_S
        )
        self._lost = Counter("samscope_workers_lost", "Workers lost in a unit", ("how",))
        self._memory = Gauge("samscope_peak_memory_bytes", "Most memory an evaluator has held")

    def add(self, receipt: Mapping[str, Any]) -> None:
        """A unit is committed: a row of `RECEIPT`."""
        _count(self._units, 1)
        _count(self._slices, receipt["slices"])
        for status in ("done", "failed"):
            _count(self._trials, receipt[status], status=status)
        for stage, trials in dict(receipt["failures"]).items():
            _count(self._failures, trials, stage=stage)
        for stage, seconds in dict(receipt["stages"]).items():
            _count(self._stages, seconds, stage=stage)
        for lost in receipt["lost"]:
            _count(self._lost, 1, how=lost["how"])
        self._seconds.observe(receipt["seconds"])
        self._memory.set(receipt["peak_memory_bytes"])


def _count(counter: Counter, value: float, **tags: str) -> None:
    if value > 0:  # Ray refuses to add nothing
        counter.inc(value, tags=tags)
