"""The curation report in a real browser: it draws, complains of nothing, asks nobody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curation_makers import body, collection, picture, texture

from engine.cli import run

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the PATH: the report is not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    path = collection(
        folder / "c.zarr",
        [body("b0"), body("b1", seed=1), picture("p", texture(0))],
        [picture("q", texture(0), dataset="copy", modality="X-ray")],
    )
    assert run(["curation", str(path)]) == 0
    return folder / "c-curation" / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
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
    figures = ("datasets", "structures", "sizes", "spacings", "intensities", "areas")
    for name in figures:
        assert page.locator(f"[data-figure={name}] .point").count() > 0, name
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.locator("#sheets img").count() == 6
    assert page.locator("#duplicates img").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.close()
