"""Scores of undisplaced trials, a model, strategy and selection at a time, beside the objects.

However large a run, no more than a score per object is held at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.results.query import query

_CELLS = """
    SELECT model, strategy, selection, expected, step
    FROM expected_scores
    LEFT JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy) USING (strategy)
    WHERE jitter_lo = 0 AND jitter_hi = 0
    ORDER BY model_position, strategy_position, selection"""

_SCORED = """
    SELECT object_key, 2 * tp::DOUBLE / (pred_px + gt_px) AS dice, hausdorff_px
    FROM undisplaced
    WHERE model = $model AND strategy = $strategy AND selection = $selection AND step = $step"""


@dataclass(frozen=True)
class Pick:
    """Whose scores: a model's, by a strategy, of the masks that a selection picked."""

    model: str
    strategy: str
    selection: str


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores at level (0,0), trial 0, last step.

    Attributes:
        expected: objects of the study.
        rows: object_key, dice, hausdorff_px; null: undefined.
    """

    pick: Pick
    expected: int
    rows: pa.Table

    def of(self, keys: NDArray[np.int64], score: str) -> NDArray[np.float64]:
        """float64[n]: a score of each object, given their keys; NaN: none."""
        order, known_keys = np.argsort(keys), self.rows["object_key"].to_numpy()
        at = np.searchsorted(keys[order], known_keys)
        known = at < len(order)
        known[known] = keys[order[at[known]]] == known_keys[known]
        values = np.full(len(order), np.nan)
        values[order[at[known]]] = numbers(self.rows[score])[known]
        return values


def scores(connection: duckdb.DuckDBPyConnection) -> Iterator[Scored]:
    """Of every pick of the study, in its order; those without a score too."""
    for cell in query(connection, _CELLS).to_pylist():
        pick = Pick(cell["model"], cell["strategy"], cell["selection"])
        given = {**asdict(pick), "step": cell["step"]}
        rows = connection.sql(_SCORED, params=given).to_arrow_table()
        yield Scored(pick, cell["expected"], rows)


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """float64[n] of a column of numbers; NaN where it is null."""
    found: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def category(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """int64[n]: the place of each text among the different ones, in the order of code points."""
    coded = column.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    found: NDArray[np.int64] = place[coded.indices.to_numpy()]
    return found
