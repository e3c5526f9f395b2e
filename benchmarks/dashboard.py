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

DRAWN = """() => new Promise(done => {
    const look = () => requestAnimationFrame(() => setTimeout(() => {
        const graphs = [...document.querySelectorAll("#page .dash-graph")];
        const drawn = g => g.querySelector(".main-svg") && !g.querySelector(".dash-graph--pending");
        graphs.every(drawn) ? done(true) : look();
    }, 0));
    requestAnimationFrame(look);
})"""
"""Two frames after the answer came, when the page's figures are in it: all of them are drawn."""


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
        page.wait_for_selector("#page > *", timeout=60_000)
        first = [_visit(page, path.path) for path in PAGES]
        again = [_visit(page, path.path) for path in PAGES]
        browser.close()
    print("| page | first (s) | again (s) |\n|---|---|---|")
    for one, a, b in zip(PAGES, first, again, strict=True):
        print(f"| {one.title} | {a:.2f} | {b:.2f} |")


def _visit(page: Any, path: str) -> float:
    """Seconds from the click until the page is drawn."""
    started = time.perf_counter()
    with page.expect_response(_brings_the_page, timeout=60_000):
        page.click(f"nav a[href='{path}']")
    page.evaluate(DRAWN)
    return time.perf_counter() - started


def _brings_the_page(response: Any) -> bool:
    asked = response.request.post_data or ""
    return "_dash-update-component" in response.url and '"output":"page.children"' in asked


if __name__ == "__main__":
    main()
