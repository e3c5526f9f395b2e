"""Answers for the pages, from whichever database of the run is the newest.

Each database is opened once, read-only, and stays open while it is asked: a build that publishes
another one meanwhile disturbs nobody. Filters on objects are made once for all questions: narrower
tables of the same names stand before the database's own, and every view and question reads those.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dashboards.app.view import FILTERS, Filters, View
from dashboards.figures.rows import SEEN_MARK, preferred
from engine.analysis.factors import correlate
from engine.analysis.questions import QUESTIONS, run
from engine.analysis.questions import answer as answer_now
from engine.errors import UserError
from engine.results.query import SEALED, cannot_be_opened, database_of, query
from engine.results.schema import database_version

Row = dict[str, Any]

_KEPT_ANSWERS = 256

_PICKS = """
    SELECT model, strategy, selection FROM expected_scores WHERE jitter_lo = 0 AND jitter_hi = 0
    ORDER BY model_position, strategy_position, selection"""

_NARROW = """
    CREATE TEMP TABLE objects AS
    SELECT o.* FROM main.objects o
    JOIN main.slices l USING (slice_id) JOIN main.cases c USING (case_id)
    WHERE {where};
    CREATE TEMP TABLE moments AS FROM main.moments WHERE {where};
    CREATE TEMP TABLE paired_moments AS FROM main.paired_moments WHERE {where};
    CREATE TEMP TABLE expected AS
    SELECT * REPLACE (trials_per_object * (SELECT count(*) FROM objects) AS expected)
    FROM main.expected;
"""


_PICKS_IN_VIEW = """
    CREATE TEMP TABLE expected_scores AS FROM expected_scores WHERE {where}"""

PICK_BY_PICK = frozenset({"factors", "factor_bins"})
"""Questions that take as long as there are models, strategies and selections: under filters on
objects they are asked about those alone that the view lets through."""

_NOT_KEPT = object()

_KEPT_FILTERS = 3
"""Filters on objects whose narrower tables are kept."""

OF_DICE = {"factors": replace(QUESTIONS["factors"], then=partial(correlate, wanted=("dice",)))}
"""Questions of which figures draw Dice alone: under filters, where no answer is kept, that is all
they are asked for."""

OF_THE_RUN = frozenset({"coverage", "failures", "variance", "cost"})
"""Questions to sums over all objects of the run: filters on objects do not apply to them."""


@dataclass(frozen=True)
class Choices:
    """Values each filter offers, in the study's order or the alphabet's."""

    values: dict[str, list[str]]


class RunData:
    """The results of one run directory.

    Args:
        run_dir: a run directory with a results database.

    Raises:
        UserError: there is none, it cannot be read, or is of another version.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._lock = threading.RLock()  # of answers; the next is taken within it, not around it
        self._narrow_lock = threading.RLock()
        self._open_lock = threading.Lock()
        self._open: tuple[Path, duckdb.DuckDBPyConnection] | None = None
        self._answers: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        self._narrow: OrderedDict[tuple[Path, Filters], duckdb.DuckDBPyConnection] = OrderedDict()
        self.choices()  # a run that cannot be shown is refused before the first page

    @property
    def newest(self) -> Path:
        """The database that a page would read now."""
        return database_of(self.run_dir)

    @contextmanager
    def connection(self, view: View | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection; with a view, only objects that pass its filters are there.

        With filters it is one for all who ask under them, one at a time; else one's own.
        """
        if view is not None and view.objects:
            with self._narrow_lock:
                yield self._narrowed(view)
            return
        _, root = self._database()
        with root.cursor() as own:
            yield own

    def answer(self, name: str, view: View) -> pa.Table:
        """The answer to a named question about what the view lets through.

        Models that have seen shown subjects in training carry `SEEN_MARK`.
        """
        if name in OF_THE_RUN:
            view = view.of_all_objects()
        picks = view.picks if view.objects and name in PICK_BY_PICK else ()
        found: pa.Table = self.once(
            ("answer", name, view.objects, picks), lambda: self._ask(name, view, picks)
        )
        return self.marked(kept_rows(found, view), view)

    def one_selection(self, view: View) -> View:
        """The view of a figure that shows one selection: with the one it chooses."""
        picks = self.once(("picks",), lambda: self.rows(_PICKS))
        return view.narrowed(selection=preferred([row for row in picks if view.keeps(row)])[0])

    def rows(self, sql: str, params: Sequence[Any] = (), view: View | None = None) -> list[Row]:
        """Rows of a SELECT of samscope's own."""
        with self.connection(view) as connection:
            found: list[Row] = connection.sql(sql, params=list(params)).to_arrow_table().to_pylist()
            return found

    def seen(self, view: View) -> dict[str, tuple[int, int]]:
        """Models with (subjects shown that they have seen in training, subjects shown)."""
        objects = replace(view, filters=dict(view.objects))
        found: dict[str, tuple[int, int]] = self.once(
            ("seen", view.objects), lambda: self._seen(objects)
        )
        return found

    def marked(self, table: pa.Table, view: View) -> pa.Table:
        """With `SEEN_MARK` behind the names of models that have seen shown subjects."""
        seen = self.seen(view)
        for name in ("model", "baseline"):
            if seen and name in table.column_names:
                at = table.column_names.index(name)
                words = [m + SEEN_MARK if m in seen else m for m in table[name].to_pylist()]
                table = table.set_column(at, name, pa.array(words, pa.string()))
        return table

    def choices(self) -> Choices:
        """What there is to choose from."""
        found: Choices = self.once(("choices",), self._choices)
        return found

    def close(self) -> None:
        """Let go of the database; it is opened again when something is asked."""
        with self._open_lock:
            self._forget()

    def _database(self) -> tuple[Path, duckdb.DuckDBPyConnection]:
        newest = self.newest
        with self._open_lock:
            if self._open is None or self._open[0] != newest:
                try:
                    root = duckdb.connect(str(newest), read_only=True, config=SEALED)
                except duckdb.Error as error:
                    raise cannot_be_opened(self.run_dir, error) from error
                _check_version(root, self.run_dir)
                self._forget()
                self._open = (newest, root)
            return self._open

    def _forget(self) -> None:
        """Let go of a database, which is closed with its last cursor, and of what it answered."""
        self._open = None
        self._answers.clear()
        self._narrow.clear()

    def _narrowed(self, view: View) -> duckdb.DuckDBPyConnection:
        database, root = self._database()
        key = (database, view.objects)
        found = self._narrow.pop(key, None)
        if found is None:
            found = root.cursor()
            found.execute(_NARROW.format(where=_where(view.objects)))
        self._narrow[key] = found  # the last to be let go of
        if len(self._narrow) > _KEPT_FILTERS:
            self._narrow.popitem(last=False)
        return found

    def once(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """What `make` makes of the newest database; made the first time, then kept."""
        database, _ = self._database()
        with self._lock:  # one question at a time: they use all threads anyway
            place = (database, *key)
            if (kept := self._answers.get(place, _NOT_KEPT)) is not _NOT_KEPT:
                return kept
            made = self._answers[place] = make()
            if len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)
            return made

    def _ask(self, name: str, view: View, picks: Filters) -> pa.Table:
        with self.connection(view) as connection:
            if not view.objects:
                return run(connection, name)
            try:
                if picks:
                    connection.execute(_PICKS_IN_VIEW.format(where=_where(picks)))
                # the answer that is kept is about all objects
                return answer_now(connection, OF_DICE.get(name) or QUESTIONS[name])
            finally:
                connection.execute("DROP TABLE IF EXISTS temp.expected_scores")

    def _seen(self, view: View) -> dict[str, tuple[int, int]]:
        with self.connection(view) as connection:
            rows = query(
                connection,
                """WITH shown AS (
                       SELECT DISTINCT c.case_id, c.subject_id
                       FROM objects o JOIN slices l USING (slice_id) JOIN cases c USING (case_id))
                   SELECT model, count(DISTINCT subject_id) AS seen,
                       (SELECT count(DISTINCT subject_id) FROM shown) AS shown
                   FROM seen JOIN shown USING (case_id) GROUP BY model ORDER BY model""",
            ).to_pylist()
        return {row["model"]: (row["seen"], row["shown"]) for row in rows}

    def _choices(self) -> Choices:
        asked = {
            "model": "SELECT model FROM models ORDER BY position",
            "strategy": "SELECT strategy FROM strategies ORDER BY position",
            "selection": "SELECT DISTINCT unnest(selections) FROM strategies ORDER BY 1",
            "dataset": "SELECT DISTINCT dataset FROM cases ORDER BY 1",
            "modality": "SELECT DISTINCT modality FROM cases ORDER BY 1",
            "structure": "SELECT DISTINCT structure FROM objects ORDER BY 1",
        }
        with self.connection() as connection:
            return Choices(
                {name: query(connection, asked[name]).column(0).to_pylist() for name in FILTERS}
            )


def _check_version(connection: duckdb.DuckDBPyConnection, run_dir: Path) -> None:
    """Refuse tables that another version of samscope made: they may mean something else."""
    (version,) = query(connection, "SELECT database_version FROM runs")[0].to_pylist()
    if version != database_version():
        raise UserError(
            "these results were built by another version of samscope",
            where=str(run_dir),
            got=f"tables of version {version}",
            expected=f"version {database_version()}",
            remedy="run `samscope evaluate` again: it builds the database anew from the parts",
        )


def kept_rows(table: pa.Table, view: View) -> pa.Table:
    """The rows of an answer that pass the filters whose columns it has."""
    if not any(view.values(name) for name in FILTERS):
        return table
    mask = [view.keeps(row) for row in table.select(
        [name for name in FILTERS if name in table.column_names]
    ).to_pylist()]  # fmt: skip
    return table.filter(pa.array(mask, pa.bool_()))


def _where(filters: Filters) -> str:
    """Filters as an SQL condition; none let everything through."""
    return " AND ".join(
        ["true", *(f"{name} IN ({', '.join(map(_quoted, values))})" for name, values in filters)]
    )


def _quoted(text: str) -> str:
    """A text as an SQL literal; quotes are the only thing that ends one."""
    return "'" + text.replace("'", "''") + "'"
