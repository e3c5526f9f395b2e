"""`events.jsonl` beside `run.log`: what happened in a run, one JSON object a line, for programs.

Every line has `at` (ISO 8601, UTC) and `event`; the other fields by event:

    run_begun        study, collection, version, device, host, pid, units (of the plan)
    pass_begun       units, slices, trials (to evaluate now), evaluators
    unit             unit_id, slices, cells, done, failed (trials), seconds, stages (stage ->
                     seconds, summed over cells), failures (stage -> trials), attempts, worker,
                     peak_memory_bytes (of that process so far), helper (a CPU beside GPUs)
    worker_lost      worker, unit_id (it was at), how: `died`, `stalled` or `machine lost`
    worker_recycled  worker, why; it ends itself before its next unit
    set_aside        manifest, reason; that cell is pending again
    run_ended        outcome: `finished`, `stopped` or `failed`; error; units_run, expected, done,
                     failed, pending (trials), where finished

Only the driver writes, while it holds the run's lock; runs that resume append. The ledger is the
truth: a unit that a worker commits after its driver was killed is in the ledger and not here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import text_of

NAME = "events.jsonl"

FIELDS: Mapping[str, tuple[str, ...]] = {
    "run_begun": ("study", "collection", "version", "device", "host", "pid", "units"),
    "pass_begun": ("units", "slices", "trials", "evaluators"),
    "unit": (
        "unit_id", "slices", "cells", "done", "failed", "seconds", "stages", "failures",
        "attempts", "worker", "peak_memory_bytes", "helper",
    ),
    "worker_lost": ("worker", "unit_id", "how"),
    "worker_recycled": ("worker", "why"),
    "set_aside": ("manifest", "reason"),
    "run_ended": ("outcome", "error", "units_run", "expected", "done", "failed", "pending"),
}  # fmt: skip
"""Fields of every event, all of them always there, in this order."""


class EventLog:
    """Appends events to a file; a line is whole and flushed before `write` returns.

    Args:
        path: the file. What a killed driver left of its last line is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a+b")
        _cut_torn_line(self._stream.fileno())

    def write(self, event: str, **fields: Any) -> None:
        """Append one event.

        Raises:
            OSError: the run directory cannot be written.
            ValueError: fields that the schema does not have.
        """
        if fields.keys() != set(FIELDS[event]):
            raise ValueError(f"event {event} has the fields {', '.join(FIELDS[event])}")
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"at": at, "event": event, **{name: fields[name] for name in FIELDS[event]}}
        line = json.dumps(record, allow_nan=False)
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()

    def unit(self, receipt: Mapping[str, Any]) -> None:
        """A unit is committed; and what its receipt tells of workers."""
        for lost in receipt["lost"]:
            self.write("worker_lost", unit_id=receipt["unit_id"], **lost)
        maps = {name: dict(receipt[name]) for name in ("stages", "failures")}
        self.write("unit", **{name: receipt[name] for name in FIELDS["unit"]} | maps)
        if receipt["recycled"] is not None:
            self.write("worker_recycled", worker=receipt["worker"], why=receipt["recycled"])

    def close(self) -> None:
        """Nothing more will be written."""
        self._stream.close()


@contextmanager
def logged_events(run_dir: Path) -> Iterator[EventLog]:
    """The event log of a run; what the ledger sets aside meanwhile, and an end by an error, go in.

    Raises:
        OSError: the run directory cannot be written.
    """
    events = EventLog(run_dir / NAME)
    listener = _SetAside(events)
    ledger = logging.getLogger("engine.results.parts")
    ledger.addHandler(listener)
    try:
        yield events
    except BaseException as error:
        outcome = "failed" if isinstance(error, Exception) else "stopped"
        nothing = dict.fromkeys(FIELDS["run_ended"])
        with suppress(OSError):  # a full disk is why the run ends: that is what must be told
            events.write("run_ended", **{**nothing, "outcome": outcome, "error": text_of(error)})
        raise
    finally:
        ledger.removeHandler(listener)
        events.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Events in the order they happened; none where there is no file.

    The last line may be half written when a driver is at work or was killed: it is left out.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)


class _SetAside(logging.Handler):
    """Hears the ledger set a manifest aside, whoever asked it to."""

    def __init__(self, events: EventLog) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        if (name := getattr(record, "set_aside", None)) is not None:
            self._events.write("set_aside", manifest=name, reason=getattr(record, "reason", None))


def _cut_torn_line(handle: int) -> None:
    size = os.fstat(handle).st_size
    tail = os.pread(handle, size, 0) if size else b""
    os.ftruncate(handle, tail.rfind(b"\n") + 1)
