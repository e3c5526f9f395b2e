"""The event log, and what is read out of it, without Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.commands.status import status_command
from engine.pipeline.events import FIELDS, NAME, EventLog, logged_events, read_events
from engine.pipeline.history import Watch, latest
from engine.results.attempts import Attempt, begin
from engine.results.manifest import MANIFESTS
from engine.results.parts import PartStore
from engine.runs import RunDir, driver_lock

START = datetime(2030, 1, 1, tzinfo=UTC)
BEGUN = {
    "study": "toy", "collection": "c", "version": "0", "device": "cpu", "host": "here", "pid": 7,
    "units": 4,
}  # fmt: skip
PASS = {"units": 4, "slices": 8, "trials": 40, "evaluators": 2}
RECEIPT: dict[str, Any] = {
    "unit_id": "a", "slices": 2, "cells": 3, "done": 9, "failed": 1, "seconds": 2.0,
    "stages": [("commit", 0.5), ("embed", 1.5)], "failures": [("decode", 1)], "attempts": 2,
    "worker": "here:8", "peak_memory_bytes": 10, "helper": False, "recycled": "2 units done",
    "lost": [{"worker": "here:6", "how": "stalled"}],
}  # fmt: skip


def at(when: float, event: str, **fields: Any) -> dict[str, Any]:
    return {"at": (START + timedelta(seconds=when)).isoformat(), "event": event, **fields}


def unit(when: float, **more: Any) -> dict[str, Any]:
    maps = {"stages": dict(RECEIPT["stages"]), "failures": dict(RECEIPT["failures"])}
    return at(when, "unit", **{**RECEIPT, **maps, **more})


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line, parsed: each must be whole and have the fields of its event."""
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    for event in found:
        assert tuple(event) == ("at", "event", *FIELDS[event["event"]])
        assert datetime.fromisoformat(event["at"]).tzinfo is not None
    return found


def test_a_unit_tells_of_workers_too(tmp_path: Path) -> None:
    log = EventLog(tmp_path / NAME)
    log.unit(RECEIPT)
    lost, done, recycled = lines(tmp_path / NAME)  # not closed: each line is flushed
    log.close()
    assert (lost["worker"], lost["how"], lost["unit_id"]) == ("here:6", "stalled", "a")
    assert (done["stages"], done["failures"]) == ({"commit": 0.5, "embed": 1.5}, {"decode": 1})
    assert (recycled["worker"], recycled["why"]) == ("here:8", "2 units done")


def test_an_event_has_all_its_fields_and_no_others(tmp_path: Path) -> None:
    log = EventLog(tmp_path / NAME)
    with pytest.raises(ValueError, match="pass_begun"):
        log.write("pass_begun", units=1)
    log.close()


@pytest.mark.parametrize("torn", [b"", b'{"at": "20', b"x" * 100_000])
def test_what_a_killed_driver_left_of_a_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / NAME
    log = EventLog(path)
    log.write("pass_begun", **PASS)
    log.close()
    with path.open("ab") as stream:
        stream.write(torn)
    assert [event["event"] for event in read_events(path)] == ["pass_begun"]
    log = EventLog(path)
    log.write("pass_begun", **PASS)
    log.close()
    assert len(lines(path)) == 2


def test_what_is_set_aside_and_how_it_ended_is_told(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    store.store.put(f"{MANIFESTS}/torn.json", b"{")

    def stopped() -> None:
        with logged_events(tmp_path):
            assert list(store.manifests()) == []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    aside, ended = lines(tmp_path / NAME)
    assert aside["manifest"] == f"{MANIFESTS}/torn.json"
    assert "torn" in aside["reason"]
    assert (ended["outcome"], ended["done"]) == ("stopped", None)
    with pytest.raises(RuntimeError), logged_events(tmp_path):
        raise RuntimeError("no space")
    assert (lines(tmp_path / NAME)[-1]["outcome"], lines(tmp_path / NAME)[-1]["error"]) == (
        "failed",
        "no space",
    )
    store.store.put(f"{MANIFESTS}/torn.json", b"{")
    assert list(store.manifests()) == []
    assert len(lines(tmp_path / NAME)) == 3, "a closed log hears nothing"


def two_passes() -> Iterator[Mapping[str, Any]]:
    """A run before, then one with a second pass: 2 evaluators, 10 s and 5 s of evaluation."""
    yield at(-100, "run_begun", **BEGUN)
    yield at(-99, "pass_begun", **PASS)
    yield unit(-90)
    yield at(0, "run_begun", **BEGUN)
    yield at(10, "pass_begun", **PASS)
    yield unit(14, seconds=3.0)
    yield at(15, "worker_lost", worker="w", unit_id="b", how="died")
    yield unit(20, seconds=9.0)
    yield at(30, "pass_begun", units=1, slices=2, trials=10, evaluators=2)
    yield unit(35, seconds=3.0)


def test_the_latest_run_adds_up() -> None:
    history = latest(two_passes())
    assert history is not None
    assert (history.units, history.slices, history.trials) == (5, 10, 50)
    assert (history.tally.units, history.tally.done, history.tally.failed) == (3, 27, 3)
    assert history.elapsed() == 15.0
    assert history.elapsed(START + timedelta(seconds=60)) == 10.0 + 30.0
    assert history.busy == 15.0 / (15.0 * 2)
    assert history.tally.rate(15.0) == 6 / 15
    assert (history.due, history.pace.whole.units, history.pace.since.units) == (10, 1, 0)
    assert history.patience_s == 9.0
    assert history.stages == {"embed": 4.5, "commit": 1.5}
    assert history.troubles == {"worker died": 1}
    assert latest([]) is None


def test_the_time_that_is_left_goes_by_the_pace_since_the_first_unit() -> None:
    events = [at(0, "run_begun", **BEGUN), at(1, "pass_begun", **PASS), unit(60), unit(64)]
    now = START + timedelta(seconds=66)
    assert Watch(True, latest(events[:3]), [], now).seconds_left is None
    history = latest(events)
    assert Watch(True, history, [], now).seconds_left == 6 * 20 / 10  # 20 trials, 10 in 6 s
    assert Watch(False, history, [], now).seconds_left is None


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with the events of `two_passes`, and a unit at work for minutes."""
    run = RunDir.prepare(tmp_path / "run", tmp_path / "c")
    run.save()
    text = "".join(json.dumps(event) + "\n" for event in two_passes())
    (run.path / NAME).write_text(text)
    began = datetime.now(UTC) - timedelta(seconds=300)
    begin(PartStore(run.path).store, Attempt("slow", "", "here:9", began.timestamp()))
    return run.path


def test_status_of_a_run_at_work(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driver_lock(run):
        assert status_command(run) == 0
    said = capsys.readouterr().out
    assert "'toy': at work, process 7 on here" in said
    assert "3 of 5 units, 6 of 10 slices" in said
    assert "2 evaluators, busy 50% of 15.0 seconds: embed 4.5 s, commit 1.5 s" in said
    assert "at work: slow on here:9" in said
    assert "a straggler: 5.0 minutes" in said


def test_helpers_count_as_units_and_not_as_busy(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (run / NAME).open("a") as stream:
        stream.write(json.dumps(unit(40, seconds=900.0, helper=True)) + "\n")
    history = latest(read_events(run / NAME))
    assert history is not None
    assert (history.helped, history.tally.units, history.evaluating) == (1, 4, 15.0)
    assert history.stages == {"embed": 4.5, "commit": 1.5}
    assert history.patience_s == 9.0
    assert status_command(run) == 0
    assert "1 unit by machines without a GPU" in capsys.readouterr().out


def test_status_of_a_dead_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_command(run) == 0
    said = capsys.readouterr().out
    assert "dead: its driver, process 7 on here, is gone" in said
    assert "30 of 50 trials, 3 failed\n" in said, "nobody works on what is left"
    assert "left unfinished: slow on here:9" in said
    assert "straggler" not in said


def test_status_of_a_run_that_failed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(FIELDS["run_ended"])
    with (run / NAME).open("a") as stream:
        ended = at(40, "run_ended", **{**nothing, "outcome": "failed", "error": "disk full"})
        stream.write(json.dumps(ended) + "\n")
    assert status_command(run) == 0
    assert "failed 2030-01-01T00:00:40+00:00: disk full" in capsys.readouterr().out
