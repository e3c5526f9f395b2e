"""The tutorial is executed as a reader would: every cell, in a kernel of its own, on a real run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from worlds import PROMPTED, run_without_ray, toy_collection, write_study

from engine.cli import run

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs/tutorial.ipynb"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tutorial")
    collection = toy_collection(folder / "c.zarr", cases=2, slices=1, unit_slices=1)
    out = run_without_ray(write_study(folder, PROMPTED), collection, folder / "run")
    assert run(["report", str(out)]) == 0
    return out


def outputs(cell: Any) -> dict[str, Any]:
    """What a cell left, by its kind."""
    return {kind: data for one in cell.outputs for kind, data in one.get("data", {}).items()}


def test_every_cell_runs_and_shows_something(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMSCOPE_RUN", str(finished))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    place = {"metadata": {"path": str(TUTORIAL.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=place).execute()  # raises on an error
    asked = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(asked) > 8
    assert all(cell.outputs for cell in asked)
    *_, figure, worst, case = asked
    assert outputs(figure)["application/vnd.plotly.v1+json"]["data"]
    assert re.search("/(block|disc)/0", outputs(worst)["text/plain"])
    assert "image/png" in outputs(case)


def test_stored_outputs_name_nobody_s_folders() -> None:
    text = TUTORIAL.read_text()
    assert "/tmp/" not in text
    assert "/home/" not in text
