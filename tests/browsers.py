"""A headless browser, and what every page must stand up to in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WIDTH_PX = 1280
_NAMES = ("chromium-headless-shell", "chromium")
"""Of the same Chromium, the shell draws pages alone: no tabs and menus anew for every page."""
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Any]:
    """The Chromium of this machine; the test skips where there is none."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no chromium on the PATH: the report is not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=_FLAGS)
        yield opened
        opened.close()


@contextmanager
def drawn(browser: Any, report: Path, scheme: str) -> Iterator[Any]:
    """A report once its figures are drawn: it complained of nothing, asked nobody, and fits."""
    page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-figures]", timeout=60_000)
    assert page.evaluate("document.body.dataset.figures") == "drawn"
    assert complaints == []
    assert {url for url in requests if not url.startswith("data:")} == {report.as_uri()}
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH_PX
    yield page
    page.close()
