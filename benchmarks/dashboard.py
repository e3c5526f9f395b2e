"""How long each page of the dashboard takes until what is seen of it is drawn.

    samscope demo --out demo
    python benchmarks/dashboard.py demo/run                                      (about a minute)

Serves the run and visits every page in a headless Chromium of 1280 x 900 px: from the click on a
link until every figure that reaches into the window is drawn (those below are drawn when they are
scrolled to). With --filter, under that filter. The first visit follows the start at once; then five
more. Prints a table in Markdown and the machine's load. Needs chromium on the PATH.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from dashboards.app import make_app, serve
from dashboards.app.pages import PAGES

AGAIN = 5

DRAWN = """() => new Promise(done => {
    const seen = place => {
        const { top, bottom } = place.getBoundingClientRect();
        return top < innerHeight && bottom > 0;
    };
    const look = () => requestAnimationFrame(() => setTimeout(() => {
        const places = [...document.querySelectorAll("#page [data-figure]")].filter(seen);
        places.every(place => place.dataset.drawn) ? done(true) : look();
    }, 0));
    requestAnimationFrame(look);
})"""
"""Two frames after the answer came, when the page's figures are in it: those seen are drawn."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--filter", default="", help="as in an address: modality=ct&model=tiny")
    said = parser.parse_args()
    server = serve(make_app(said.run), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{server.port}/sql?{said.filter}")
        page.wait_for_selector("#page > *", timeout=60_000)
        first, *again = [[_visit(page, one.title) for one in PAGES] for _ in range(1 + AGAIN)]
        browser.close()
    server.shutdown()
    print("| page | first (s) | median of 5 (s) | slowest of 5 (s) |\n|---|---|---|---|")
    for one, start, *rest in zip(PAGES, first, *again, strict=True):
        print(f"| {one.title} | {start:.2f} | {statistics.median(rest):.2f} | {max(rest):.2f} |")
    print("load of the last minute, five, fifteen:", *(f"{load:.1f}" for load in os.getloadavg()))
    sys.stdout.flush()
    os._exit(0)  # tables that nobody scrolled to may still be made, in DuckDB, which would abort


def _visit(page: Any, title: str) -> float:
    """Seconds from the click until what is seen of the page is drawn."""
    started = time.perf_counter()
    with page.expect_response(_brings_the_page, timeout=60_000):
        page.click(f"nav a:text-is('{title}')")
    page.evaluate(DRAWN)
    return time.perf_counter() - started


def _brings_the_page(response: Any) -> bool:
    asked = response.request.post_data or ""
    return "_dash-update-component" in response.url and '"output":"page.children"' in asked


if __name__ == "__main__":
    main()
