"""What the events of a run say about it: how far, how fast, how busy, what went wrong."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.pipeline.tally import Tally

STRAGGLES = 3.0
"""A unit at work for longer than that many medians is a straggler."""


@dataclass
class History:
    """The latest run of a run directory.

    Attributes:
        begun, ended: its first event, and its last one where it came to an end.
        units, slices, trials: asked for, all passes together.
        passes: when each began, and when its latest unit was committed.
        unit_seconds: of every unit committed.
        stages: seconds of evaluators per stage.
        troubles: what went wrong with workers and parts, counted.
    """

    begun: Mapping[str, Any]
    ended: Mapping[str, Any] | None = None
    units: int = 0
    slices: int = 0
    trials: int = 0
    evaluators: int = 0
    tally: Tally = field(default_factory=Tally)
    passes: list[tuple[datetime, datetime]] = field(default_factory=list)
    unit_seconds: list[float] = field(default_factory=list)
    stages: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)

    def add(self, event: Mapping[str, Any]) -> None:
        """The next event of the same run."""
        kind = event["event"]
        if kind == "pass_begun":
            self._pass(event)
        elif kind == "unit":
            self._unit(event)
        elif kind == "worker_lost":
            self.troubles[f"worker {event['how']}"] += 1
        elif kind in ("worker_recycled", "set_aside"):
            self.troubles[kind.replace("_", " ")] += 1
        elif kind == "run_ended":
            self.ended = event

    def _pass(self, event: Mapping[str, Any]) -> None:
        self.units += event["units"]
        self.slices += event["slices"]
        self.trials += event["trials"]
        self.evaluators = event["evaluators"]
        self.passes.append((_time(event), _time(event)))

    def _unit(self, event: Mapping[str, Any]) -> None:
        self.tally.add(event)
        self.passes[-1] = (self.passes[-1][0], _time(event))
        self.unit_seconds.append(event["seconds"])
        for stage, seconds in event["stages"].items():
            self.stages[stage] += seconds

    def elapsed(self, now: datetime | None = None) -> float:
        """Seconds of evaluation, to the latest unit, or to `now` in the pass that goes on."""
        spans = [(last - begun).total_seconds() for begun, last in self.passes]
        if now is not None and self.passes:
            spans[-1] = (now - self.passes[-1][0]).total_seconds()
        return sum(spans)

    @property
    def busy(self) -> float | None:
        """Share of the evaluators' time spent on committed units; None before the first one."""
        available = self.elapsed() * self.evaluators
        return self.tally.seconds / available if available > 0 else None

    def straggles(self, seconds: float) -> bool:
        """Whether a unit that is at work for that long is far slower than the others."""
        return bool(self.unit_seconds) and seconds > STRAGGLES * statistics.median(
            self.unit_seconds
        )


def latest(events: Iterable[Mapping[str, Any]]) -> History | None:
    """The history of the latest run; None where none began."""
    history = None
    for event in events:
        if event["event"] == "run_begun":
            history = History(event)
        elif history is not None:
            history.add(event)
    return history


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])
