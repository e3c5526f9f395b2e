"""`samscope ask`: the list, one answer, and a name that is none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from results.synthetic import Synthetic, make, study

from engine.analysis import QUESTIONS
from engine.analysis import run as ask
from engine.cli import run
from engine.commands.answer_text import answer_text
from engine.results.query import connect


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


def test_a_table_says_what_its_columns_are(
    made: Synthetic, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", str(made.run_dir), "oracle_gap"]) == 0
    rows, _, legend = capsys.readouterr().out.partition("rows)\n\n")
    assert "oracle" not in rows
    assert legend.startswith("Gap = Dice of `oracle` minus Dice of `predicted_iou`, per object;")
    assert legend.endswith("Source: protocol section 3.\n")


def test_a_legend_speaks_of_the_answer_alone() -> None:
    for question in QUESTIONS.values():
        assert question.legend
        for inner in ("Moments:", "Rows:", "Empty:", "--", "SELECT"):
            assert inner not in question.legend, question.name
        source = [line for line in question.sql.splitlines() if "Source: " in line]
        assert source[0].removeprefix("-- ") in question.legend


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


@pytest.mark.parametrize("arguments", [["all"], ["--out", "somewhere"]])
def test_all_needs_a_folder_and_a_folder_a_question(
    made: Synthetic, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", str(made.run_dir), *arguments]) == 2
    assert "`all` needs a folder" in capsys.readouterr().err


@pytest.mark.parametrize(("fmt", "ending"), [("csv", "csv"), ("table", "txt")])
def test_one_answer_into_a_folder(made: Synthetic, tmp_path: Path, fmt: str, ending: str) -> None:
    folder = tmp_path / "answers"
    asked = ["ask", str(made.run_dir), "leaderboard", "--format", fmt, "--out", str(folder)]
    assert run(asked) == 0
    assert [path.name for path in folder.iterdir()] == [f"leaderboard.{ending}"]
    assert "predicted_iou" in (folder / f"leaderboard.{ending}").read_text()


def test_a_wrong_name_leaves_no_folder(made: Synthetic, tmp_path: Path) -> None:
    assert run(["ask", str(made.run_dir), "leaderbord", "--out", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


def test_an_empty_answer_says_why(made: Synthetic, capfd: pytest.CaptureFixture[str]) -> None:
    with connect(made.run_dir) as connection:
        empty = [name for name in QUESTIONS if not ask(connection, name).num_rows]
    assert "failures" not in empty
    alone = ["ask", str(made.run_dir), "grid"]
    assert run(alone) == 0
    capfd.readouterr()
    single = make(made.run_dir.parent / "single", of=study(models=[{"name": "tiny"}],
                  strategies=["box"]), fail_rate=0)  # fmt: skip
    single.build()
    for name in ("grid", "everything_masks", "compare_models", "paired", "tuning", "failures"):
        assert run(["ask", str(single.run_dir), name]) == 0
        assert capfd.readouterr().out.startswith(f"{name} has no rows: "), name
    assert run(["ask", str(single.run_dir), "grid", "--format", "csv"]) == 0
    said = capfd.readouterr()
    assert said.out.startswith('"model"') or said.out.startswith("model")
    assert "no strategy of kind `everything`" in said.err


def test_tuning_is_asked_of_models_that_were_tuned(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    models = [{"name": "tiny"}, {"name": "other", "model": "tiny"}]
    made = make(tmp_path, of=study(models=models, strategies=["box"]))
    made.build()
    assert run(["ask", str(made.run_dir), "tuning"]) == 0
    assert "is a trained version of its first one" in capfd.readouterr().out
    assert run(["ask", str(made.run_dir), "compare_models"]) == 0
    assert "has no rows" not in capfd.readouterr().out


def test_intervals_and_counts_stand_together() -> None:
    table = pa.table({
        "model": ["m"], "n": [3], "expected": [4], "dice": [0.81234], "dice_lo": [0.78],
        "dice_hi": [0.8], "seconds": [1234.5], "tiny": [2.34567e-7], "gap": [0.5],
        "gap_lo": pa.array([None], pa.float64()), "gap_hi": pa.array([None], pa.float64()),
        "jitter_lo": [0], "jitter_hi": [10],
    })  # fmt: skip
    head, _, row, count = answer_text(table, None).splitlines()
    cells = [cell.strip() for cell in row.split("│")]
    assert [cell.strip() for cell in head.split("┃")] == [
        "model", "n / N", "dice", "seconds", "tiny", "gap", "jitter_lo", "jitter_hi"
    ]  # fmt: skip
    assert cells == [
        "m", "3 / 4", "0.812 [0.780, 0.800]", "1234", "2.35e-07", "0.500", "0", "10"
    ]  # fmt: skip
    assert count == "(1 row)"


def test_a_wide_answer_is_given_in_blocks_that_fit(made: Synthetic) -> None:
    with connect(made.run_dir) as connection:
        factors, leaders = (ask(connection, name) for name in ("factors", "leaderboard"))
    lines = answer_text(factors, 100).splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line for line in lines if line.lstrip().startswith("model ")]
    assert len(heads) > 1
    assert all("factor" in line for line in heads)
    assert "not shown: --format csv has all" in lines[-1]
    assert max(map(len, answer_text(leaders, 100).splitlines())) <= 100


def test_methods_are_prose(made: Synthetic, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(made.run_dir), "methods"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("The study 'synthetic' covers ")
    assert all(len(line) <= 88 for line in said.splitlines())


def test_a_name_with_an_ending_is_no_folder(
    made: Synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = tmp_path / "a.csv"
    assert run(["ask", str(made.run_dir), "leaderboard", "--out", str(wanted)]) == 2
    assert "written to a folder" in capsys.readouterr().err
    assert not wanted.exists()
