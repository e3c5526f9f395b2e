"""A run watched from outside: how far, how fast, how busy, what is at work, what went wrong.

`watch` only reads, from the events and the marks of attempts: of a run that goes on, of one whose
driver was killed, and of one that has ended.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.pipeline.events import NAME, read_events
from engine.pipeline.tally import Pace, Tally
from engine.results.attempts import Attempt, at_work
from engine.runs import RunDir, driver_at_work

STRAGGLES = 3.0
"""A unit at work for longer than that many medians is a straggler."""


@dataclass(frozen=True, slots=True)
class Done:
    """A unit that was committed.

    Attributes:
        at: when its receipt came.
        seconds: the worker was at it.
        helper: whether that was a CPU beside GPUs, whose time is no measure for theirs.
    """

    unit_id: str
    worker: str
    at: datetime
    seconds: float
    slices: int
    failed: int
    helper: bool = False


@dataclass
class History:
    """The latest run of a run directory.

    Attributes:
        begun, ended: its first event, and its last one where it came to an end.
        units, slices, trials: asked for, all passes together.
        passes: when each began, and when its latest unit was committed.
        pace, due: of the latest pass, and the trials it is about.
        committed: units, in the order of their receipts.
        stages: seconds of evaluators per stage; helpers are none.
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
    pace: Pace = field(default_factory=Pace)
    due: int = 0
    committed: list[Done] = field(default_factory=list)
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
        self.pace, self.due = Pace(), event["trials"]

    def _unit(self, event: Mapping[str, Any]) -> None:
        self.tally.add(event)
        self.pace.add(event, _time(event).timestamp())
        self.passes[-1] = (self.passes[-1][0], _time(event))
        names = ("unit_id", "worker", "seconds", "slices", "failed")
        helper = event.get("helper", False)  # events of earlier versions do not say
        told = {name: event[name] for name in names}
        self.committed.append(Done(at=_time(event), helper=helper, **told))
        if helper:
            return
        for stage, seconds in event["stages"].items():
            self.stages[stage] += seconds

    def elapsed(self, now: datetime | None = None) -> float:
        """Seconds of evaluation, to the latest unit, or to `now` in the pass that goes on."""
        spans = [(last - begun).total_seconds() for begun, last in self.passes]
        if now is not None and self.passes:
            spans[-1] = (now - self.passes[-1][0]).total_seconds()
        return sum(spans)

    @property
    def helped(self) -> int:
        """Units done by helpers, CPUs beside the evaluators."""
        return sum(one.helper for one in self.committed)

    @property
    def evaluating(self) -> float:
        """Seconds of evaluators at units."""
        return sum(one.seconds for one in self.committed if not one.helper)

    @property
    def busy(self) -> float | None:
        """Share of the evaluators' time spent on committed units; None before the first one."""
        available = self.elapsed() * self.evaluators
        return self.evaluating / available if available > 0 else None

    @property
    def patience_s(self) -> float:
        """A unit at work for longer is a straggler; infinite before the first one is done."""
        seconds = [one.seconds for one in self.committed if not one.helper]
        return STRAGGLES * statistics.median(seconds) if seconds else math.inf


@dataclass(frozen=True)
class Watch:
    """A run directory at one moment.

    Attributes:
        live: whether a driver is at work on it.
        history: of the latest run; None where none began.
        at_work: units begun and not finished, the oldest first; behind a dead driver they are what
            will be done again.
        now: when that was.
    """

    live: bool
    history: History | None
    at_work: list[Attempt]
    now: datetime

    @property
    def going_on(self) -> bool:
        """Whether the latest run is not at its end, and somebody works on it."""
        return self.live and self.history is not None and self.history.ended is None

    @property
    def elapsed(self) -> float:
        """Seconds of evaluation of the latest run, to now where it goes on."""
        if self.history is None:
            return 0.0
        return self.history.elapsed(self.now if self.going_on else None)

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None where nothing goes on or too little is done yet."""
        if not self.going_on or self.history is None:
            return None
        return self.history.pace.seconds_left(self.history.due, self.now.timestamp())

    @property
    def state(self) -> str:
        """In words: at work, dead, or how it ended."""
        if self.history is None:
            return "no run has begun"
        begun, ended = self.history.begun, self.history.ended
        driver = f"process {begun['pid']} on {begun['host']}"
        if ended is None:
            if self.live:
                return f"at work, {driver}"
            return f"dead: its driver, {driver}, is gone; the same command resumes it"
        at = datetime.fromisoformat(ended["at"]).isoformat(timespec="seconds")
        return f"{ended['outcome']} {at}" + (f": {ended['error']}" if ended["error"] else "")

    def seconds_of(self, attempt: Attempt) -> float:
        """How long a unit is at work."""
        return self.now.timestamp() - attempt.began

    def straggles(self, attempt: Attempt) -> bool:
        """Whether it is far slower than the others."""
        return (
            self.live
            and self.history is not None
            and self.seconds_of(attempt) > self.history.patience_s
        )


def watch(run: RunDir) -> Watch:
    """A run directory as it is now."""
    live = driver_at_work(run.place)
    with run.store.local([NAME] if run.store.size(NAME) is not None else []) as files:
        history = latest(event for path in files for event in read_events(path))
    return Watch(live, history, at_work(run.store), datetime.now(UTC))


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
