"""Named questions: one SQL file each, and a step in Python where SQL is not enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import duckdb
import pyarrow as pa

from engine.analysis.bins import dice_of_bins
from engine.analysis.factors import correlate
from engine.analysis.kept import keep, kept_answer
from engine.analysis.methods import paragraphs
from engine.analysis.moments import Means, Moments
from engine.errors import UserError, nearest
from engine.identity import fingerprint
from engine.results.query import query

DICE = (Moments("dice", "n", "total"),)
GAIN = (Moments("gain", "n", "total"),)
GAP = (Moments("gap", "n", "total"),)
DICE_AND_DROP = (*DICE, Moments("drop", "drop_n", "drop_total"))
BEFORE_AND_AFTER = (
    *GAIN,
    Moments("dice_before", "n", "before"),
    Moments("dice_after", "n", "after"),
)
TWO_MODELS = (*GAIN, Moments("dice_baseline", "n", "before"), Moments("dice_model", "n", "after"))

ANSWER_VERSION = 1
"""Raised when a step in Python makes another answer of the same rows."""

_EMPTY = "-- Empty: "
_INNER = ("-- Moments: ", "-- Rows: ", _EMPTY)
"""Parts of a header that do not speak of the answer's columns."""

Then = Callable[[duckdb.DuckDBPyConnection, pa.Table, int], pa.Table]
"""(connection, rows of the SQL, study's seed) -> the answer."""


@dataclass(frozen=True)
class Question:
    """A question to a results database.

    Its file begins with the question in words, then columns, units and source, and says where the
    answer can be empty why.

    Attributes:
        name: of its file `sql/<name>.sql`.
        then: makes the answer of the SQL's rows; None: they are the answer.
        kept: whether the finaliser answers it beforehand.
    """

    name: str
    then: Then | None = None
    kept: bool = True

    @property
    def sql(self) -> str:
        """The packaged query, with its header comment."""
        path = files("engine.analysis") / "sql" / f"{self.name}.sql"
        return path.read_text(encoding="utf-8")

    @property
    def words(self) -> str:
        """The question as its file asks it."""
        return self.sql.partition("\n")[0].removeprefix("-- Question: ")

    @property
    def legend(self) -> str:
        """What the answer's rows and columns are, as its file says it."""
        said, inner = list[str](), False
        for line in self.sql.splitlines()[1:]:
            if not line.startswith("--"):
                break
            inner = line.startswith(_INNER) or (inner and not line.startswith("-- Source: "))
            if not inner:
                said.append(line.removeprefix("-- "))
        return "\n".join(said)

    @property
    def empty(self) -> str:
        """Why an answer may have no rows, as its file says it."""
        said = [line for line in self.sql.splitlines() if line.startswith(_EMPTY)]
        return said[0].removeprefix(_EMPTY) if said else "nothing was scored."

    @property
    def fingerprint(self) -> str:
        """Changes when the question is answered in another way."""
        then = getattr(self.then, "__qualname__", repr(self.then))
        return fingerprint([ANSWER_VERSION, self.name, self.sql, then])


_CELL = ("model", "strategy")
_PICK = (*_CELL, "selection")
_PAIR = ("baseline", *_PICK)
_COST = ("n_slices", "n_trials", "embed_s_per_slice", "prompt_s_per_trial", "score_s_per_trial")

QUESTIONS = {
    question.name: question
    for question in (
        Question("leaderboard", Means(_PICK, DICE)),
        Question("oracle_gap", Means(_CELL, GAP)),
        Question("by_modality", Means((*_PICK, "modality"), DICE)),
        Question("by_structure_modality", Means((*_PICK, "structure", "modality"), DICE)),
        Question("distances"),
        Question("policies"),
        Question("failure_modes"),
        Question("jitter", Means((*_PICK, "jitter_lo", "jitter_hi"), DICE_AND_DROP)),
        Question("factors", correlate),
        Question("factor_bins", dice_of_bins),
        Question("variance"),
        Question("grid", Means((*_PICK, "points_per_side", "masks_per_slice"), DICE)),
        Question("everything_masks"),
        Question("compare_models", Means(_PAIR, GAIN)),
        Question("tuning", Means(_PAIR, BEFORE_AND_AFTER)),
        Question("paired", Means((*_PAIR, "structure", "modality"), TWO_MODELS)),
        Question("paired_objects"),
        Question("cost"),
        Question("cost_quality", Means((*_PICK, *_COST), DICE)),
        Question("coverage"),
        Question("failures"),
        Question("exclusions"),
        Question("population"),
        Question("gallery"),
        Question("methods", paragraphs, kept=False),
    )
}


def run(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """The answer to a named question: the one the finaliser kept, where the question is the same.

    Where it is a mean, the columns after the keys are `n` (scored), `expected`, `subjects`, and
    per value: `<value>, <value>_lo, <value>_hi` (mask-weighted) and `<value>_balanced` with its
    `_lo` and `_hi` (over structure and modality). Undefined is null.

    Raises:
        UserError: no such question, or the database lacks a table.
    """
    question = QUESTIONS.get(name)
    if question is None:
        raise UserError(f"no such question '{name}'", got=name, remedy=nearest(name, QUESTIONS))
    kept = kept_answer(connection, question.name, question.fingerprint) if question.kept else None
    return answer(connection, question) if kept is None else kept


def answer(connection: duckdb.DuckDBPyConnection, question: Question) -> pa.Table:
    """The answer, computed now. Raises as `run`."""
    rows = query(connection, question.sql)
    if question.then is None:
        return rows
    return question.then(connection, rows, study_seed(connection))


def keep_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """Answer what the finaliser is to answer beforehand, and keep it in the open database."""
    keep(
        connection,
        {
            question.name: (question.fingerprint, partial(answer, connection, question))
            for question in QUESTIONS.values()
            if question.kept
        },
    )


def study_seed(connection: duckdb.DuckDBPyConnection) -> int:
    """The seed of the study, which also seeds the intervals."""
    ((seed,),) = connection.execute("SELECT study_seed FROM runs").fetchall()
    return int(seed)
