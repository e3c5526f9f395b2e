"""Scores and object factors: Spearman and partial Spearman (protocol section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.analysis.correlation import (
    Estimate,
    correlation,
    estimate,
    eta_squared,
    naive_p,
    partial_correlations,
)
from engine.analysis.ranks import Codes, codes, ranks
from engine.analysis.scatter import Ranked, Scatters, replicates, scatter
from engine.analysis.scored import category, numbers, scores

SCORES = ("dice", "hausdorff_px")
PAPER = ("area_px", "aspect_ratio", "intensity_difference", "fourier_order")
"""The paper's factors that have a rank; the fifth is the modality."""
OURS = (
    "fourier_order_97", "n_components", "n_holes", "perimeter_px", "compactness", "solidity",
    "touches_border", "center_inside", "area_fraction", "boundary_gradient", "contrast_to_noise",
)  # fmt: skip
MODALITY = "modality"

Mask = NDArray[np.bool_]
Row = dict[str, Any]

ANSWER = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("model", "strategy", "selection", "score")),
        pa.field("factor", pa.string()),
        pa.field("of_paper", pa.bool_()),
        *(pa.field(name, pa.int64()) for name in ("n", "defined", "expected", "subjects")),
        *(
            pa.field(f"{name}{end}", pa.float64())
            for name in ("spearman", "partial")
            for end in ("", "_lo", "_hi", "_p_naive")
        ),
        pa.field("controls", pa.int64()),
        *(pa.field(f"eta_squared{end}", pa.float64()) for end in ("", "_lo", "_hi")),
    ]
)


@dataclass(frozen=True)
class Population:
    """The objects that have the paper's five factors, sorted by (subject, modality).

    Attributes:
        keys: int64[object].
        subject, modality: int64[object], codes; subjects in the order of their ids.
        factors: name -> int64[object], codes; -1: undefined.
    """

    keys: Codes
    subject: Codes
    modality: Codes
    factors: Mapping[str, Codes]

    @classmethod
    def of(cls, rows: pa.Table) -> Population:
        """From the rows of `factors.sql`."""
        return cls(
            rows["object_key"].to_numpy().astype(np.int64),
            category(rows["subject_id"]),
            category(rows["modality"]),
            {name: codes(numbers(rows[name])) for name in (*PAPER, *OURS)},
        )


def correlate(
    connection: duckdb.DuckDBPyConnection,
    rows: pa.Table,
    seed: int,
    wanted: Sequence[str] = SCORES,
) -> pa.Table:
    """The answer to `factors`: one row per model, strategy, selection, score and factor.

    Args:
        rows: the population, as `factors.sql` selects it.
        wanted: of SCORES.
    """
    population = Population.of(rows)
    blocks = {score: list(_blocks(population)) for score in wanted}
    answer: list[Row] = []
    for scored in scores(connection):
        cell = {**asdict(scored.pick), "expected": scored.expected}
        for score in wanted:
            coded, found = codes(scored.of(population.keys, score)), dict[str, Row]()
            for block in blocks[score]:
                found |= block.rows(coded, seed)
            answer += [
                {**cell, "score": score, "factor": name, "of_paper": name not in OURS} | found[name]
                for name in (*PAPER, MODALITY, *OURS)
            ]
    return pa.Table.from_pylist(answer, schema=ANSWER)


class Block:
    """Factors that are defined for the same objects.

    Picks mostly score the same objects: what does not depend on the scores is kept until one scores
    others.

    Args:
        names: the factors; with the paper's comes the modality.
        defined: bool[object].
    """

    def __init__(self, population: Population, names: Sequence[str], defined: Mask) -> None:
        self._population, self._defined = population, defined
        self._names = tuple(names)
        self._variables = tuple(dict.fromkeys((*PAPER, *names)))
        self._used: Mask | None = None

    def rows(self, score: Codes, seed: int) -> dict[str, Row]:
        """A row for each factor.

        Args:
            score: int64[object], codes of the population's scores; -1: not scored.
        """
        asked = (*self._names, MODALITY) if PAPER[0] in self._names else self._names
        used = (score >= 0) & self._defined
        n = int(used.sum())
        subjects = int(np.count_nonzero(np.bincount(self._population.subject[used])))
        count: Row = {"n": n, "subjects": subjects, "defined": int(self._defined.sum())}
        if n == 0:
            return {name: dict(count) for name in asked}
        sums = self._ranked_over(used).after(ranks(score[used]))
        found = (scatter(sums), *([replicates(sums, seed)] if subjects > 1 else []))
        rows = _correlations(found, self._names, self._variables, n)
        if MODALITY in asked:
            effect = estimate(*(eta_squared(one, 0) for one in found))
            rows[MODALITY] = _named("eta_squared", effect)
        return {name: {**count, **row} for name, row in rows.items()}

    def _ranked_over(self, used: Mask) -> Ranked:
        if self._used is None or not np.array_equal(used, self._used):
            world = self._population
            columns = [ranks(world.factors[name][used]) for name in self._variables]
            self._ranked = Ranked.of(np.stack(columns), world.subject[used], world.modality[used])
            self._used = used
        return self._ranked


def _blocks(population: Population) -> Iterator[Block]:
    """All factors that every object has together, the others one by one."""
    every = np.ones(len(population.keys), dtype=np.bool_)
    partly = [name for name in OURS if (population.factors[name] < 0).any()]
    yield Block(population, (*PAPER, *(name for name in OURS if name not in partly)), every)
    for name in partly:
        yield Block(population, (name,), population.factors[name] >= 0)


def _correlations(
    found: Sequence[Scatters], names: Sequence[str], variables: Sequence[str], n: int
) -> dict[str, Row]:
    """Both correlations of the score (variable 0) and each factor, over n objects.

    Args:
        found: of the sample and, unless it has one subject, of its replicates.
        variables: all factors, in their order after the score.
    """
    at = {name: 1 + place for place, name in enumerate(variables)}
    free = int(found[0].modalities[0]) - 1  # columns that stand for the modality
    rows: dict[str, Row] = {}
    ours = [name for name in names if name not in PAPER]
    for together in (*([name] for name in PAPER if name in names), ours):
        mine = [at[name] for name in together]
        controls = [at[name] for name in PAPER if name not in together]
        partials = [partial_correlations(one, 0, mine, controls) for one in found]
        for place, *partly in zip(mine, *partials, strict=True):
            plain = estimate(*(correlation(one, 0, place) for one in found))
            partial, k = estimate(*partly), len(controls) + free
            rows[variables[place - 1]] = {
                **_named("spearman", plain), "spearman_p_naive": _p(plain, n, 0),
                **_named("partial", partial), "partial_p_naive": _p(partial, n, k), "controls": k,
            }  # fmt: skip
    return rows


def _p(found: Estimate, n: int, k: int) -> float | None:
    return None if found.value is None else naive_p(found.value, n, k)


def _named(stem: str, found: Estimate) -> Row:
    return {stem: found.value, f"{stem}_lo": found.lo, f"{stem}_hi": found.hi}
