"""The page of a run: its figures by hand, and a run followed in the browser until its results."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash import html
from hypothesis import given
from hypothesis import strategies as st
from worlds import toy_collection, write_study

from dashboards.app import make_server_app, serve
from dashboards.app.pages.run import seen
from dashboards.figures.run_progress import MOST_UNITS, MOST_WORKERS, _over_time, timeline
from engine.errors import UserError
from engine.pipeline.history import Done, History, Watch
from engine.results.attempts import Attempt

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2030, 1, 1, tzinfo=UTC)
BEGUN = {"study": "toy", "device": "cpu", "host": "here", "pid": 7}
SHOTS = os.environ.get("SAMSCOPE_SCREENSHOTS")
WAIT_MS = 240_000
"""A busy machine takes a minute to start an evaluator."""


def history(*units: Done, evaluators: int = 2, **more: Any) -> History:
    end = max((one.at for one in units), default=START)
    return History(
        {**BEGUN, **more}, units=9, slices=18, trials=90, evaluators=evaluators,
        passes=[(START, end)], committed=list(units),
    )  # fmt: skip


def done(
    unit: str, end: float, seconds: float, *, slices: int = 2, failed: int = 0, helper: bool = False
) -> Done:
    at = START + timedelta(seconds=end)
    return Done(unit, f"here:{unit}", at, seconds, slices, failed, helper)


def at(watched: History | None, *attempts: Attempt, live: bool = True) -> Watch:
    return Watch(live, watched, list(attempts), START + timedelta(seconds=100))


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0.001, 60), st.integers(1, 32)), min_size=1))
def test_speed_and_busy_share_add_up(spans: list[tuple[float, float, int]]) -> None:
    """Over all intervals they come to the slices and the seconds there were."""
    units = [done(str(i), begun + s, s, slices=n) for i, (begun, s, n) in enumerate(spans)]
    edges, rate, busy = _over_time(history(*units, evaluators=3))
    width = np.diff(edges)
    assert (rate * width).sum() == pytest.approx(sum(n for *_, n in spans), rel=1e-4)
    assert (busy * width * 3).sum() == pytest.approx(sum(s for _, s, _ in spans), rel=1e-4)


def test_helpers_are_slow_by_nature_and_keep_no_gpu_busy() -> None:
    units = [done("a", 10, 10), done("b", 20, 10), done("c", 95, 90, helper=True)]
    told = history(*units, evaluators=1)
    edges, rate, busy = _over_time(told)
    assert (busy * np.diff(edges)).sum() == pytest.approx(20)
    assert (rate * np.diff(edges)).sum() == pytest.approx(6)
    assert told.patience_s == 30
    bars = {t.name: [one[0] for one in t.customdata] for t in timeline(at(told)).data}
    assert bars == {"committed": ["a", "b"], "by a machine without a GPU": ["c"]}


def test_a_bar_a_unit() -> None:
    units = [done("a", 10, 10), done("b", 20, 10, failed=1), done("c", 90, 70), done("d", 95, 10)]
    now = Attempt("e", "", "here:e", START.timestamp() + 60)
    made = timeline(at(history(*units), now))
    bars = {trace.name: [one[0] for one in trace.customdata] for trace in made.data}
    assert bars == {
        "committed": ["a", "d"], "with failed trials": ["b"],
        "straggler: over 3 medians": ["c"], "at work": ["e"],
    }  # fmt: skip
    assert [trace.x for trace in made.data if trace.name == "at work"] == [(40_000.0,)]
    dead = timeline(at(history(*units), now, live=False))
    assert "at work" not in {trace.name for trace in dead.data}


def test_a_long_run_of_many_workers_sends_few_bars() -> None:
    units = [done(str(i), i + 1.0, 1.0) for i in range(3 * MOST_UNITS)]
    made = timeline(at(history(*units)))
    assert sum(len(trace.x) for trace in made.data) == MOST_WORKERS
    assert f"The latest {MOST_WORKERS} of {3 * MOST_UNITS:,} units." in made.layout.meta["note"]


def words(body: Any) -> str:
    return str(html.Div(body).to_plotly_json())


def test_what_is_said_of_every_kind_of_run() -> None:
    assert "No evaluation has begun" in words(seen(at(None)))
    nothing = History(BEGUN)
    assert "nothing to evaluate" in words(seen(at(nothing)))
    going = history(done("a", 10, 10), device="cuda:0")
    going.stages.update(embed=6.0, prompt=1.0)
    going.tally.seconds = 10.0
    slow = Attempt("slow", "", "here:9", START.timestamp())
    said = words(seen(at(going, slow)))
    assert "at work, process 7 on here" in said
    assert "Straggler: slow on here:9" in said
    assert "not known yet" in said
    assert "GPUs busy" in said
    assert "30%" in said, "6 of 2 x 10 s"
    going.troubles["worker died"] = 2
    dead = words(seen(at(going, slow, live=False)))
    assert "dead: its driver" in dead
    assert "1 unit left unfinished" in dead
    assert "worker died: 2" in dead


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run directory"):
        make_server_app(tmp_path)


@contextmanager
def evaluating(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A run directory and the process that evaluates into it, slowly."""
    collection = toy_collection(folder / "toy.zarr", cases=8, slices=2)
    text = "name: slow\nmodels: [{name: fake, model: FAKE}]\nstrategies: [box]\n"
    study = write_study(folder, text, fake="seconds_per_slice: 0.7\n")
    command = [sys.executable, "-m", "engine", "evaluate", str(study), "-c", str(collection)]
    process = subprocess.Popen(
        [*command, "-o", str(folder / "run"), "--actors", "1"], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        while not (folder / "run/run.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield folder / "run", process
    finally:
        process.kill()
        process.wait()


@pytest.mark.browser
@pytest.mark.ray
def test_a_run_is_followed_until_its_results_are_there(browser: Any, tmp_path: Path) -> None:
    with evaluating(tmp_path) as (run, process):
        server = serve(make_server_app(run), "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_text("There are no results yet").wait_for(timeout=WAIT_MS)
        page.get_by_text("at work, process").wait_for(timeout=WAIT_MS)
        page.locator("#figure-run_timeline .main-svg").first.wait_for(timeout=WAIT_MS)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "light-run-going-on.png", full_page=True)
        page.get_by_text("Show them").click(timeout=WAIT_MS)
        page.locator("nav a.here:has-text('Overview')").wait_for(timeout=WAIT_MS)
        page.click("nav a:has-text('Run')")
        page.get_by_text("finished 20").wait_for(timeout=WAIT_MS)
        assert "16 / 16" in page.inner_text(".tiles")
        assert process.wait(60) == 0
        assert errors == []
        page.close()
        server.shutdown()
        thread.join()
        server.server_close()
