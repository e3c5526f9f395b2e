"""The command line: help with examples, exit codes, and errors without tracebacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from worlds import toy_collection, write_study

from dashboards.gallery import GalleryItem
from engine.cli import app, run
from engine.commands.report import _file_name, _keep
from engine.errors import UserError
from engine.models.registry import CONFIGS, describe
from engine.study import ModelChoice

VERBS = (
    "demo", "ingest", "validate", "parity", "bench", "plan", "evaluate", "status", "sql", "ask",
    "report", "dashboard", "phantoms", "train", "info", "curation", "export", "replica",
    "datasets",
)  # fmt: skip


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert {command.callback.__name__ for command in app.registered_commands} == set(VERBS)
    for verb in (*VERBS, "recipe init"):
        assert run([*verb.split(), "--help"]) == 0
        assert f"samscope {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["evaluat"], ["No such command", "evaluate"]),
        (["ingest", "lung_cxr_dem", ".", "--out", "x"], ["unknown recipe", "lung_cxr_demo"]),
        (["sql", "nowhere", "SELECT 1"], ["no results database", "samscope evaluate"]),
        (["status", "nowhere"], ["not a run directory", "no such folder"]),
        (["plan", "nowhere.yaml", "-c", "c"], ["cannot read the study", "nowhere.yaml"]),
        (["report", "nowhere"], ["not a run directory"]),
        (["info", "nowhere.pth"], ["nowhere.pth"]),
        (
            ["export", "nowhere", "--to", "coco", "-o", "o"],
            ["no collection here", "no such folder"],
        ),
        (["recipe", "init", "nowhere"], ["no such folder"]),
        (["evaluate", "s.yaml"], ["Missing option", "remedy: samscope evaluate --help"]),
        (["sql", "r", "FROM x", "-f", "xml"], ["remedy: samscope sql --help"]),
        (["evaluate", "s", "-c", "c", "-o", "o", "--attempts", "11"], ["it must be at most 10"]),
        (["evaluate", "s", "-c", "c", "-o", "o", "--attempts", "x"], ["it must be a whole number"]),
        (["evaluate", "s", "-c", "c", "-o", "o", "--device", "x"], ["'--device': 'x' is not one"]),
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

    assert "object factors: 4 objects, to run: new" in said
    assert "untrained, random weights: tiny" in said
    assert "-  " not in said.replace("─", "")


def test_info_speaks_of_no_study_and_hides_what_is_for_tests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["info"]) == 0
    models = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("models"))
    assert "tiny" in models
    assert "fake" not in models
    assert run(["info", "nowhere.pth"]) == 2
    said = capsys.readouterr().err
    assert "study" not in said
    assert "got: no such file" in said


def test_info_names_weights_as_a_run_does(capsys: pytest.CaptureFixture[str]) -> None:
    weights = describe(ModelChoice(name="mine", model="tiny")).weights_sha256
    for asked in ("tiny", str(CONFIGS.parent / "trained" / "tiny.safetensors")):
        assert run(["info", asked]) == 0
        assert f"weights sha256       {weights}" in capsys.readouterr().out
    assert run(["info", "vit_b"]) == 0
    assert "random, from a seed" in capsys.readouterr().out


def test_info_of_a_folder_says_who_knows_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(tmp_path)]) == 2
    assert "samscope status" in capsys.readouterr().err


def test_questions_are_those_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(tmp_path / "nowhere")]) == 2
    assert "this is not a run directory" in capsys.readouterr().err


def test_help_says_the_exit_codes_and_names_a_study_that_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
    for verb in ("plan", "evaluate"):
        assert run([verb, "--help"]) == 0
        assert "studies/shared_data.yaml" in capsys.readouterr().out.replace("\n", " ")


def test_a_demo_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["demo", "--out", str(tmp_path / "file" / "demo")]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_pictures_of_a_report_do_not_collide_and_replace_older_ones(tmp_path: Path) -> None:
    one = {"model": "a-b", "strategy": "c", "pick": "best"}
    other = {"model": "a", "strategy": "b-c", "pick": "best"}
    assert _file_name(one) != _file_name(other)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "old.png").write_bytes(b"")
    _keep(tmp_path / "gallery", {_file_name(one): GalleryItem("t", "c", b"png")})
    assert [p.name for p in (tmp_path / "gallery").iterdir()] == ["a-b+c+best.png"]
    with pytest.raises(UserError, match="cannot write the report"):
        _keep(tmp_path / "gallery" / "a-b+c+best.png", {})


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
