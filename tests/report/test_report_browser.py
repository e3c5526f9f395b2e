"""The report in a real browser: it draws its figures, complains of nothing, asks nobody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from results.synthetic import make

from dashboards.figures import FIGURES
from dashboards.report import build_report

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
    made = make(tmp_path_factory.mktemp("browser"))
    made.build()
    return build_report(made.run_dir)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_drawn(browser: Any, report: Path, scheme: str) -> None:
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
    for spec in FIGURES:
        selector = f"[data-figure={spec.name}] .main-svg"
        assert page.locator(selector).count() > 0, spec.name
        marks = page.locator(f"[data-figure={spec.name}] :is(.point, .hm image)").count()
        assert marks > 0, f"{spec.name} is empty"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    text, back = page.evaluate(
        "[document.querySelector('.legendtext').style.fill,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    darker, lighter = sorted([brightness(text), brightness(back)])
    assert (lighter == brightness(text)) is (scheme == "dark")
    assert lighter - darker > 3 * 180  # readable
    page.close()


def brightness(colour: str) -> float:
    numbers = colour[colour.index("(") + 1 : -1].split(",")
    return sum(float(value) for value in numbers[:3])
