"""In a real browser: a run that goes on while it is looked at, and two runs side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dashboard.conftest import served
from dashboard.test_dashboard_browser import settle, visit
from worlds import STUDY, run_without_ray, write_study

from dashboards.app import server
from dashboards.app.pages import PAGES
from engine.results.query import run_sql

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
BUILD = """\
import sys
from pathlib import Path
from worlds import run_without_ray
run_without_ray(*map(Path, sys.argv[1:]))
"""


def test_a_run_is_shown_while_it_is_built_and_newer_results_are_offered(
    browser: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(world.run, tmp_path / "run", symlinks=True)
    study = write_study(
        tmp_path / "study", STUDY.replace("  - box\n", "  - box\n  - box_point_1\n")
    )
    monkeypatch.setattr(server, "LOOK_EVERY_S", 1)
    with served(run) as address, visit(browser, address, "/") as page:
        before = page.locator(".tiles").inner_text()
        command = [sys.executable, "-c", BUILD, str(study), str(world.collection), str(run)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(TESTS)))}
        log = tmp_path / "log"
        with log.open("w") as said:
            building = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        seen = 0
        while building.poll() is None or seen < 3:
            one = PAGES[1 + seen % (len(PAGES) - 1)]
            page.click(f"nav a:has-text('{one.title}')")
            page.wait_for_url(f"**{one.path}")
            page.wait_for_selector(f"nav a.here:has-text('{one.title}')")
            settle(page)
            assert "cannot be shown" not in page.inner_text("#page")
            seen += 1
        assert building.wait() == 0, log.read_text()
        page.wait_for_selector("#newer .banner", timeout=60_000)
        assert "newer results" in page.inner_text("#newer")
        page.click("nav a:has-text('Overview')")
        page.wait_for_selector("#page .tiles")
        page.click("#reload")
        page.wait_for_selector("#newer .banner", state="detached")
        page.wait_for_selector("#page .tiles")
        page.wait_for_selector("text=box_point_1")
        settle(page)
        assert page.locator(".tiles").inner_text() != before
        assert page.locator("#newer .banner").count() == 0


def test_two_runs_of_different_models(browser: Any, world: Any, tmp_path: Path) -> None:
    models = "models: [{name: other, model: FAKE}]"
    text = "\n".join(models if line.startswith("models") else line for line in STUDY.splitlines())
    other = run_without_ray(write_study(tmp_path, text), world.collection, tmp_path / "run")
    ask = """SELECT avg(dice) AS dice FROM final_undisplaced
        WHERE model = '{}' AND strategy = 'box' AND selection = 'oracle'"""
    (mine,) = run_sql(world.run, ask.format("tiny")).to_pylist()
    (theirs,) = run_sql(other, ask.format("other")).to_pylist()
    with (
        served(world.run, other) as address,
        visit(browser, address, "/compare?strategy=box&selection=oracle") as page,
    ):
        assert page.locator("#page h2").first.inner_text() == "Two runs"
        page.locator("#page [data-drawn] .main-svg").first.wait_for()
        page.locator("#page summary").first.click()
        row = page.locator("#page details .ag-center-cols-container .ag-row", has_text="tiny")
        row.first.wait_for()
        assert "other of the other run" in row.first.inner_text()
        gain = f"{mine['dice'] - theirs['dice']:.3f}".replace("-", "−")
        assert gain in row.first.inner_text()
        settle(page)
