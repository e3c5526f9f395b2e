"""Kept answers: the same as computed, and never of another state or question."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from results.synthetic import Synthetic, make
from results.test_results_extend import commit

from engine.analysis import QUESTIONS, questions, run
from engine.analysis.questions import answer, keep_answers
from engine.results.build import build
from engine.results.query import connect, run_sql


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return make(tmp_path_factory.mktemp("donor"))


@pytest.fixture(scope="module")
def finished(donor: Synthetic) -> Path:
    """A database with its answers, to be copied."""
    finalise(donor)
    return (donor.run_dir / "results.duckdb").resolve()


@pytest.fixture
def made(tmp_path: Path) -> Synthetic:
    made = make(tmp_path, leave_out=lambda cell: cell.model == "tuned")
    finalise(made)
    return made


def finalise(made: Synthetic) -> None:
    build(made.run, made.plan, made.catalog, made.run_dir, finish=keep_answers)


def made_from(made: Synthetic) -> dict[str, str]:
    rows = run_sql(made.run_dir, "FROM answers.made_from").to_pylist()
    return {row["question"]: row["state"] for row in rows}


def check_answers(made: Synthetic) -> None:
    with connect(made.run_dir) as connection:
        for name, question in QUESTIONS.items():
            kept, computed = run(connection, name), answer(connection, question)
            assert kept.schema.equals(computed.schema), name
            assert kept.num_rows == computed.num_rows, name
            for one, other in zip(kept.to_pylist(), computed.to_pylist(), strict=True):
                for column, value in one.items():
                    near = isinstance(value, float)  # sums of doubles by several threads
                    expected = pytest.approx(other[column], rel=1e-9) if near else other[column]
                    assert value == expected, (name, column)


def test_kept_answers_are_those_computed(made: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(made_from(made)) == {name for name, q in QUESTIONS.items() if q.kept}
    check_answers(made)

    def fails(*_: object) -> None:
        raise AssertionError("computed although kept")

    monkeypatch.setattr(questions, "answer", fails)
    with connect(made.run_dir) as connection:
        assert run(connection, "leaderboard").num_rows
        with pytest.raises(AssertionError, match="although kept"):
            run(connection, "methods")


def test_a_build_without_anything_new_keeps_them(
    made: Synthetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made_from(made)

    def fails(*_: object) -> None:
        raise AssertionError("answered again")

    monkeypatch.setattr(questions, "answer", fails)
    finalise(replace(made, run=replace(made.run, wall_s=99.0)))
    assert made_from(made) == before


def test_new_cells_are_answered_anew(made: Synthetic, donor: Synthetic) -> None:
    before = made_from(made)
    commit(made, donor, [item.cell for item in made.cells if item.cell.model == "tuned"])
    finalise(made)
    assert all(state != before[name] for name, state in made_from(made).items())
    check_answers(made)
    with connect(made.run_dir) as connection:
        rows = run(connection, "leaderboard").to_pylist()
    assert all(row["n"] for row in rows if row["model"] == "tuned")


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ("units SET attempt = 'another'", True),  # the same cell, evaluated again
        ("units SET identity = 'another'", True),
        ("units SET state = 'pending'", True),
        ("runs SET study_seed = 8", True),
        ("cases SET modality = 'MR'", True),
        ("runs SET wall_s = 99", False),
        ("units SET committed_at = NULL", False),
    ],
)
def test_answers_are_made_anew_where_what_they_are_made_of_is_another(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, anew: bool
) -> None:
    asked: list[str] = []

    def answered(_: object, question: questions.Question) -> pa.Table:
        asked.append(question.name)
        return pa.table({"x": [1]})

    monkeypatch.setattr(questions, "answer", answered)
    with duckdb.connect(shutil.copy(finished, tmp_path / "copy.duckdb")) as connection:
        connection.execute(f"UPDATE {change}")
        keep_answers(connection)
    assert bool(asked) == anew


def test_a_question_asked_in_another_way_is_computed(
    made: Synthetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ANSWER_VERSION", 0)
    monkeypatch.setattr(questions, "answer", lambda connection, question: question.name)
    with connect(made.run_dir) as connection:
        assert run(connection, "leaderboard") == "leaderboard"


def test_a_question_that_fails_costs_only_its_answer(
    made: Synthetic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = (made.run_dir / "results.duckdb").resolve()
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP TABLE paired_moments")
        connection.execute("UPDATE answers.made_from SET state = 'old'")
        with caplog.at_level(logging.WARNING, "engine.analysis.kept"):
            keep_answers(connection)
        kept = connection.execute("SELECT question FROM answers.made_from").fetchall()
    assert {"compare_models", "paired", "tuning"}.isdisjoint(name for (name,) in kept)
    assert ("leaderboard",) in kept
    assert "'paired' has no kept answer" in caplog.text
