"""How long each page of the dashboard takes until it is drawn.

    samscope demo --out demo
    python benchmarks/dashboard.py demo/run                                      (about a minute)

Serves the run, visits every page in a headless Chromium whose cache is warm, and measures from the
click on a link until the last figure or table of the page is drawn. Twice: answers computed for
the first time, and again. Prints a table in Markdown. Needs chromium on the PATH.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from dashboards.app import make_app, serve
from dashboards.app.pages import PAGES

READY = """path => location.pathname === path
    && document.querySelector("#page")?.dataset.dashIsLoading !== "true"
    && document.querySelectorAll("#page > *").length > 0
    && document.querySelector("nav a.here")?.pathname === path
    && [...document.querySelectorAll("#page .dash-graph")].every(g => g.querySelector(".main-svg"))
    && !document.querySelector("#page[data-dash-is-loading]")"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    server = serve(make_app(run), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{server.port}/sql")
        page.wait_for_function(READY, arg="/sql", timeout=60_000)
        first = [_visit(page, path.path) for path in PAGES]
        again = [_visit(page, path.path) for path in PAGES]
        browser.close()
    print("| page | first (s) | again (s) |\n|---|---|---|")
    for one, a, b in zip(PAGES, first, again, strict=True):
        print(f"| {one.title} | {a:.2f} | {b:.2f} |")


def _visit(page: Any, path: str) -> float:
    """Seconds from the click until the page is drawn."""
    started = time.perf_counter()
    page.click(f"nav a[href='{path}']")
    page.wait_for_function(READY, arg=path, timeout=60_000)
    page.wait_for_load_state("networkidle")
    return time.perf_counter() - started - 0.5  # what networkidle waits by itself


if __name__ == "__main__":
    main()
