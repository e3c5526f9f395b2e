"""The curation report in a real browser: it draws, complains of nothing, asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsers import drawn
from curation_makers import body, collection, picture, texture

from engine.cli import run

pytestmark = pytest.mark.browser


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
    with drawn(browser, report, scheme) as page:
        figures = ("datasets", "structures", "sizes", "spacings", "intensities", "areas")
        for name in figures:
            assert page.locator(f"[data-figure={name}] .point").count() > 0, name
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert page.evaluate(broken) == 0
        assert page.locator("#sheets img").count() == 6
        assert page.locator("#duplicates img").count() == 2
