"""Named questions: one SQL file each, and intervals where the answer is a mean."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import duckdb
import pyarrow as pa

from engine.analysis.moments import Moments, summarise
from engine.errors import UserError, nearest
from engine.results.query import query

DICE = (Moments("dice", "n", "total"),)
GAIN = (Moments("gain", "n", "total"),)
GAP = (Moments("gap", "n", "total"),)
DICE_AND_DROP = (*DICE, Moments("drop", "drop_n", "drop_total"))


@dataclass(frozen=True)
class Question:
    """A question to a results database.

    Its file begins with the question in words, then columns, units and source.

    Attributes:
        name: of its file `sql/<name>.sql`.
        keys: columns that name a row of the answer, when the SQL yields moments.
        values: the means to take from the moments; empty: the SQL's rows are the answer.
    """

    name: str
    keys: tuple[str, ...] = ()
    values: tuple[Moments, ...] = ()

    @property
    def sql(self) -> str:
        """The packaged query, with its header comment."""
        path = files("engine.analysis") / "sql" / f"{self.name}.sql"
        return path.read_text(encoding="utf-8")

    @property
    def words(self) -> str:
        """The question as its file asks it."""
        return self.sql.partition("\n")[0].removeprefix("-- Question: ")


_CELL = ("model", "strategy")

QUESTIONS = {
    question.name: question
    for question in (
        Question("leaderboard", (*_CELL, "selection"), DICE),
        Question("oracle_gap", _CELL, GAP),
        Question("compare_models", ("baseline", *_CELL, "selection"), GAIN),
        Question("jitter", (*_CELL, "selection", "jitter_lo", "jitter_hi"), DICE_AND_DROP),
        Question("by_structure_modality", (*_CELL, "selection", "structure", "modality"), DICE),
        Question("distances"),
        Question("coverage"),
        Question("failures"),
        Question("exclusions"),
        Question("population"),
        Question("cost"),
        Question("gallery"),
    )
}


def run(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """The answer to a named question.

    Where it is a mean, the columns after the keys are `n` (scored), `expected`, `subjects`, and
    per value: `<value>, <value>_lo, <value>_hi` (mask-weighted) and `<value>_balanced` with its
    `_lo` and `_hi` (over structure and modality). Undefined is null.

    Raises:
        UserError: no such question, or the database lacks a table.
    """
    question = QUESTIONS.get(name)
    if question is None:
        raise UserError(f"no such question '{name}'", got=name, remedy=nearest(name, QUESTIONS))
    rows = query(connection, question.sql)
    if not question.values:
        return rows
    return summarise(rows, question.keys, question.values, study_seed(connection))


def study_seed(connection: duckdb.DuckDBPyConnection) -> int:
    """The seed of the study, which also seeds the intervals."""
    ((seed,),) = connection.execute("SELECT study_seed FROM runs").fetchall()
    return int(seed)
