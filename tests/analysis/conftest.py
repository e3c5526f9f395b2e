"""A run with a skipped cell, and all its answers: made once for all files of questions."""

from __future__ import annotations

import pytest
from results.synthetic import SKIPPED, Row, Synthetic, make

from engine.analysis import QUESTIONS, run
from engine.results.query import connect, run_sql


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(tmp_path_factory.mktemp("questions"), leave_out=lambda cell: cell == SKIPPED)
    made.build()
    return made


@pytest.fixture(scope="session")
def answers(made: Synthetic) -> dict[str, list[Row]]:
    with connect(made.run_dir) as connection:
        return {name: run(connection, name).to_pylist() for name in QUESTIONS}


@pytest.fixture(scope="session")
def scored(made: Synthetic) -> list[Row]:
    rows: list[Row] = run_sql(made.run_dir, "FROM results WHERE dice IS NOT NULL").to_pylist()
    return rows
