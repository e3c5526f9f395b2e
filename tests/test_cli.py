"""The command line: help with examples, exit codes, and errors without tracebacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from worlds import toy_collection, write_study

from engine.cli import app, run

VERBS = ("demo", "ingest", "validate", "plan", "evaluate", "status", "sql", "report", "info")


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert {command.callback.__name__ for command in app.registered_commands} == set(VERBS)
    for verb in VERBS:
        assert run([verb, "--help"]) == 0
        assert f"samscope {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["evaluat"], ["No such command", "evaluate"]),
        (["ingest", "lung_cxr_dem", ".", "--out", "x"], ["unknown recipe", "lung_cxr_demo"]),
        (["sql", "nowhere", "SELECT 1"], ["no results database", "samscope evaluate"]),
        (["status", "nowhere"], ["not a run directory"]),
        (["plan", "nowhere.yaml", "-c", "c"], ["cannot read the study", "nowhere.yaml"]),
        (["report", "nowhere"], ["not a run directory"]),
        (["info", "nowhere.pth"], ["nowhere.pth"]),
        (["evaluate", "s.yaml"], ["Missing option"]),
    ],
)
def test_mistakes_exit_with_2_and_say_what_to_do(
    argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_a_study_mistake_names_the_nearest_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = toy_collection(tmp_path / "toy.zarr", cases=1, slices=1)
    study = write_study(tmp_path, "name: a\nmodels: [tinny]\nstrategies: [box]\n")
    assert run(["plan", str(study), "-c", str(collection)]) == 2
    assert "did you mean 'tiny'?" in capsys.readouterr().err
    study = write_study(tmp_path, "name: a\nmodels: [tiny]\nstrategies: [box]\ndatasets: [tox]\n")
    assert run(["plan", str(study), "-c", str(collection)]) == 2
    assert "toy" in capsys.readouterr().err


def test_plan_says_what_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collection = toy_collection(tmp_path / "toy.zarr", cases=1, slices=2)
    study = write_study(tmp_path)
    assert run(["plan", str(study), "-c", str(collection)]) == 0
    said = capsys.readouterr().out
    assert "1 unit, 2 slices, 4 objects, 80 trials" in said
    assert "to run: new" in said


def test_a_bug_exits_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("engine.commands.status.status_command", broken)
    assert run(["status", "x"]) == 3


def test_installed_command_prints_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("samscope 0.")
