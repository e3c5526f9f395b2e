"""`samscope ask`: the list, one answer, and a name that is none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from results.synthetic import Synthetic, make

from engine.analysis import QUESTIONS
from engine.cli import run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(tmp_path_factory.mktemp("ask"))
    made.build()
    return made


def test_the_list_asks_every_question(made: Synthetic, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(made.run_dir)]) == 0
    said = capsys.readouterr().out
    for name, question in QUESTIONS.items():
        assert name in said
        assert question.words[0].islower() or question.words[0].isupper()
        assert not question.words.startswith("--")


def test_an_answer_as_csv(made: Synthetic, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["ask", str(made.run_dir), "compare_models", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert {(row["baseline"], row["model"]) for row in rows} == {("tiny", "tuned")}
    box = [row for row in rows if (row["strategy"], row["selection"]) == ("box", "oracle")]
    assert float(box[0]["gain_lo"]) <= float(box[0]["gain"]) <= float(box[0]["gain_hi"])


def test_an_unknown_question_names_the_nearest(
    made: Synthetic, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", str(made.run_dir), "leaderbord"]) == 2
    assert "did you mean 'leaderboard'" in capsys.readouterr().err


def test_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(tmp_path), "leaderboard"]) == 2
    assert str(tmp_path) in capsys.readouterr().err.replace("\n", "")


def test_every_answer_into_a_folder(made: Synthetic, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "answers"
    assert run(["ask", str(made.run_dir), "all", "--format", "csv", "--out", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in QUESTIONS}
    with (folder / "policies.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["metric"] for row in rows} == {"hausdorff_px", "hd95_px", "assd_px"}


def test_a_file_is_no_folder_for_answers(
    made: Synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        asked = ["ask", str(made.run_dir), "all", "--format", "csv", "--out", str(tmp_path / place)]
        assert run(asked) == 2
        assert "choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["all"], ["leaderboard", "--out", "somewhere"]])
def test_all_and_a_folder_go_together(
    made: Synthetic, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", str(made.run_dir), *arguments]) == 2
    assert "`all` and --out go together" in capsys.readouterr().err


def test_methods_are_prose(made: Synthetic, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(made.run_dir), "methods"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("The study 'synthetic' covers ")
    assert all(len(line) <= 88 for line in said.splitlines())
