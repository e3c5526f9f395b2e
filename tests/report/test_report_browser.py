"""The report in a real browser: it draws its figures, complains of nothing, asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsers import drawn
from results.synthetic import make

from dashboards.figures import FIGURES
from dashboards.report import build_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(tmp_path_factory.mktemp("browser"))
    made.build()
    return build_report(made.run_dir)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_drawn(browser: Any, report: Path, scheme: str) -> None:
    with drawn(browser, report, scheme) as page:
        for spec in FIGURES:
            selector = f"[data-figure={spec.name}] .main-svg"
            assert page.locator(selector).count() > 0, spec.name
            marks = page.locator(f"[data-figure={spec.name}] :is(.point, .hm image)").count()
            assert marks > 0, f"{spec.name} is empty"
        text, back = page.evaluate(
            "[document.querySelector('.legendtext').style.fill,"
            " getComputedStyle(document.body).backgroundColor]"
        )
        darker, lighter = sorted([brightness(text), brightness(back)])
        assert (lighter == brightness(text)) is (scheme == "dark")
        assert lighter - darker > 3 * 180  # readable


def brightness(colour: str) -> float:
    numbers = colour[colour.index("(") + 1 : -1].split(",")
    return sum(float(value) for value in numbers[:3])
