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
    partial_correlation,
)
from engine.analysis.ranks import Codes, codes, ranks
from engine.analysis.scatter import Scatters, rank_sums, replicates, scatter
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


def correlate(connection: duckdb.DuckDBPyConnection, rows: pa.Table, seed: int) -> pa.Table:
    """The answer to `factors`: one row per model, strategy, selection, score and factor.

    Args:
        rows: the population, as `factors.sql` selects it.
    """
    population = Population.of(rows)
    answer: list[Row] = []
    for scored in scores(connection):
        cell = {**asdict(scored.pick), "expected": scored.expected}
        for score in SCORES:
            values = scored.of(population.keys, score)
            found = score_and_factors(population, codes(values), seed)
            answer += [{**cell, "score": score, **row} for row in found]
    return pa.Table.from_pylist(answer, schema=ANSWER)


def score_and_factors(population: Population, score: Codes, seed: int) -> Iterator[Row]:
    """Rows of one score: the paper's five factors, then ours.

    Args:
        score: int64[object], codes of the population's scores; -1: not scored.
    """
    scored = score >= 0
    found: dict[str, Row] = {}
    for names, defined in _blocks(population):
        rows = _block(population, score, scored & defined, names, seed)
        found |= {name: {**row, "defined": int(defined.sum())} for name, row in rows.items()}
    for name in (*PAPER, MODALITY, *OURS):
        yield {"factor": name, "of_paper": name not in OURS, **found[name]}


def _blocks(population: Population) -> Iterator[tuple[tuple[str, ...], Mask]]:
    """(factors, objects that have them): all that every object has together, others one by one."""
    every = np.ones(len(population.keys), dtype=np.bool_)
    partly = [name for name in OURS if (population.factors[name] < 0).any()]
    yield (*PAPER, *(name for name in OURS if name not in partly)), every
    for name in partly:
        yield (name,), population.factors[name] >= 0


def _block(
    population: Population, score: Codes, used: Mask, names: Sequence[str], seed: int
) -> dict[str, Row]:
    """Rows of `names` over the objects `used`, and of modality beside the paper's factors."""
    n, subject, modality = int(used.sum()), population.subject[used], population.modality[used]
    subjects = len(np.unique(subject))
    count: Row = {"n": n, "subjects": subjects}
    asked = (*names, MODALITY) if PAPER[0] in names else tuple(names)
    if n == 0:
        return {name: dict(count) for name in asked}
    variables = tuple(dict.fromkeys((*PAPER, *names)))
    columns = [score, *(population.factors[name] for name in variables)]
    ranked = np.stack([ranks(column[used]) for column in columns], axis=1)
    sums = rank_sums(ranked, subject, modality)
    sample = scatter(sums)
    drawn = replicates(sums, seed) if subjects > 1 else None
    at = {name: 1 + place for place, name in enumerate(variables)}
    free = len(np.unique(modality)) - 1
    rows = {}
    for name in asked:
        if name == MODALITY:
            rows[name] = {**count, **_named("eta_squared", _effect(sample, drawn))}
        else:
            rows[name] = {**count, **_correlations(sample, drawn, at, name, n, free)}
    return rows


def _correlations(
    sample: Scatters, drawn: Scatters | None, at: Mapping[str, int], name: str, n: int, free: int
) -> Row:
    """Both correlations of the score (variable 0) and a factor.

    Args:
        free: columns that stand for the modality among the controls.
    """
    mine, controls = at[name], [at[other] for other in PAPER if other != name]
    plain = estimate(
        correlation(sample, 0, mine), None if drawn is None else correlation(drawn, 0, mine)
    )
    partial = estimate(
        partial_correlation(sample, 0, mine, controls),
        None if drawn is None else partial_correlation(drawn, 0, mine, controls),
    )
    k = len(controls) + free
    return {
        **_named("spearman", plain), "spearman_p_naive": _p(plain, n, 0),
        **_named("partial", partial), "partial_p_naive": _p(partial, n, k), "controls": k,
    }  # fmt: skip


def _effect(sample: Scatters, drawn: Scatters | None) -> Estimate:
    return estimate(eta_squared(sample, 0), None if drawn is None else eta_squared(drawn, 0))


def _p(found: Estimate, n: int, k: int) -> float | None:
    return None if found.value is None else naive_p(found.value, n, k)


def _named(stem: str, found: Estimate) -> Row:
    return {stem: found.value, f"{stem}_lo": found.lo, f"{stem}_hi": found.hi}
