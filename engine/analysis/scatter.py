"""Per-subject moment sums of ranks, and the scatter matrices of any draw of subjects.

Correlations of a bootstrap replicate follow from sums over its subjects, so a replicate costs one
weighted sum however many objects a subject has (protocol section 6: ranks stay fixed).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analysis.bootstrap import REPLICATES, blocks, draw_counts

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class RankSums:
    """Sums over the objects of each group, a group being one subject's objects of one modality.

    Attributes:
        subject: int64[group], 0..subjects-1 in the order of their ids.
        modality: int64[group].
        n: float64[group], objects.
        sums: float64[group, variable] of centred ranks.
        products: float64[group, variable, variable] of their products.
    """

    subject: Codes
    modality: Codes
    n: Floats
    sums: Floats
    products: Floats


@dataclass(frozen=True)
class Ranked:
    """Variables ranked over objects that stand sorted by (subject, modality).

    Attributes:
        centred: float64[variable, object], their ranks around the middle one and in units of the
            number of objects: squares of large ranks would lose digits.
        starts: int64[group], the first object of each.
    """

    centred: Floats
    starts: Codes
    sums: RankSums

    @classmethod
    def of(cls, ranked: Floats, subject: Codes, modality: Codes) -> Ranked:
        """Args: as of `rank_sums`, but ranked: float64[variable, object]."""
        centred = _centred(ranked)
        starts = np.flatnonzero(
            np.r_[True, (subject[1:] != subject[:-1]) | (modality[1:] != modality[:-1])]
        )
        sums = RankSums(
            np.unique(subject[starts], return_inverse=True)[1],
            modality[starts],
            np.diff(starts, append=len(subject)).astype(np.float64),
            np.add.reduceat(centred, starts, axis=1).T,
            np.stack([part @ part.T for part in _parts(centred, starts)]),
        )
        return cls(centred, starts, sums)

    def after(self, ranks: Floats) -> RankSums:
        """Sums of another variable and, after it, of these, which are not summed up again.

        Args:
            ranks: float64[object], of the same objects.
        """
        own, known = _centred(ranks), self.sums
        pairs = zip(_parts(own, self.starts), _parts(self.centred, self.starts), strict=True)
        products = np.empty(np.add(known.products.shape, (0, 1, 1)))
        products[:, 1:, 1:] = known.products
        for group, (mine, others) in enumerate(pairs):
            products[group, 0, 0] = mine @ mine
            products[group, 0, 1:] = products[group, 1:, 0] = others @ mine
        first = np.add.reduceat(own, self.starts)
        sums = np.concatenate([first[:, None], known.sums], axis=1)
        return RankSums(known.subject, known.modality, known.n, sums, products)


def _centred(ranked: Floats) -> Floats:
    n = ranked.shape[-1]
    centred: Floats = (ranked - (n + 1) / 2) / n
    return centred


def _parts(of_objects: Floats, starts: Codes) -> Iterator[Floats]:
    for start, end in zip(starts, (*starts[1:], of_objects.shape[-1]), strict=True):
        yield of_objects[..., start:end]


@dataclass(frozen=True)
class Scatters:
    """Scatter of every replicate of a block of variables.

    Attributes:
        total: float64[replicate, variable, variable] around the means.
        within: the same around the means of each modality, which is what is left after a regression
            on an intercept and one column per modality but one.
        least: float64[replicate, variable]: a variance up to this is rounding.
        modalities: int64[replicate], present in it.
    """

    total: Floats
    within: Floats
    least: Floats
    modalities: Codes


def rank_sums(ranked: Floats, subject: Codes, modality: Codes) -> RankSums:
    """Sums of ranked objects that stand sorted by (subject, modality).

    Args:
        ranked: float64[object, variable], average ranks from 1.
        subject, modality: int64[object]; subjects in the order of their ids.
    """
    return Ranked.of(ranked.T, subject, modality).sums


def scatter(sums: RankSums) -> Scatters:
    """Of the sample itself, as the only replicate."""
    return _scatter(sums, np.ones((1, len(sums.n))))


def replicates(sums: RankSums, seed: int, count: int = REPLICATES) -> Scatters:
    """Of `count` draws of as many subjects as there are (protocol section 6, "Intervals")."""
    weights = draw_counts(seed, int(sums.subject.max()) + 1, count)
    parts = [
        _scatter(sums, weights[block][:, sums.subject].astype(np.float64))
        for block in blocks(count, len(sums.n))
    ]
    return Scatters(
        np.concatenate([part.total for part in parts]),
        np.concatenate([part.within for part in parts]),
        np.concatenate([part.least for part in parts]),
        np.concatenate([part.modalities for part in parts]),
    )


def _scatter(sums: RankSums, weights: Floats) -> Scatters:
    """Args: weights: float64[replicate, group], how often each group's subject is drawn."""
    width = sums.sums.shape[1]
    raw = (weights @ sums.products.reshape(len(sums.n), -1)).reshape(-1, width, width)
    total = raw - _of_means(sums, weights)
    within, present = raw.copy(), np.zeros(len(weights), dtype=np.int64)
    for each in np.unique(sums.modality):
        here = sums.modality == each
        of_one = RankSums(sums.subject[here], sums.modality[here], sums.n[here], sums.sums[here],
                          sums.products[here])  # fmt: skip
        within -= _of_means(of_one, weights[:, here])
        present += (weights[:, here] > 0).any(axis=1)
    least = 1e-10 * np.einsum("rii->ri", raw)
    return Scatters(total, within, least, present)


def _of_means(sums: RankSums, weights: Floats) -> Floats:
    """float64[replicate, variable, variable]: n times the product of the means."""
    n, summed = weights @ sums.n, weights @ sums.sums
    means = np.divide(summed, n[:, None], out=np.zeros_like(summed), where=n[:, None] > 0)
    product: Floats = summed[:, :, None] * means[:, None, :]
    return product
