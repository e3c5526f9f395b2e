"""Attention whose scores depend on where a key lies relative to its query, on a fused kernel.

SAM adds to the score of query i and key j a term of the query for their distance in rows and one
for that in columns: `q_i . k_j / sqrt(d) + q_i . R[y_i, y_j] + q_i . C[x_i, x_j]`. The library
holds all scores of all heads in memory and passes over them five times. Here are two ways to the
same function (equal up to rounding) with `scaled_dot_product_attention`:

- *folded*: the terms are further columns of the queries, `[q, q R, q C]`, and the keys say in
  further columns which row and column is theirs, `[k, one-hot y_j, one-hot x_j]`. One dot product
  then gives the whole score, and nothing of the size queries x keys is ever in memory.
- *biased*: the terms are made as a bias, for so few queries at a time that it stays in the cache.

Folding pays where products are cheap beside memory: on a GPU, and on a CPU in bfloat16. In float32
on a CPU its wider products cost more than the bias (docs/design/encoding.md has the numbers).

Shapes: b images or windows of h x w tokens, n = h w row-major, d channels per head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, einsum
from torch.nn.functional import one_hot, pad, scaled_dot_product_attention

BIAS_BYTES = 4 * 1024 * 1024
"""Most bytes of bias made at a time: what fits a core's cache."""

ALIGNMENT = 8
"""Fused kernels want the number of columns to be a multiple of it."""


class RelativeAttention(Protocol):
    """Mixes values by scores with relative terms."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """float[b, heads, n, d] of queries, keys and values of that shape."""
        ...


def relative_attention(rows: Tensor, columns: Tensor, dtype: torch.dtype) -> RelativeAttention:
    """The faster way for the tables' device and a dtype.

    Args:
        rows: float32[h, h, d], for each row of a query and each of a key.
        columns: float32[w, w, d], the same of columns.
    """
    if rows.device.type == "cpu" and dtype == torch.float32:
        return BiasedAttention(rows, columns)
    return FoldedAttention(rows.to(dtype), columns.to(dtype), marks(rows, columns).to(dtype))


def marks(rows: Tensor, columns: Tensor) -> Tensor:
    """float32[n, m]: for each key a 1 in the column of its row, a 1 in that of its column.

    m is h + w, and as many empty columns as make d + m a multiple of `ALIGNMENT`.
    """
    h, w, d = len(rows), len(columns), rows.shape[-1]
    token = torch.arange(h * w, device=rows.device)
    said = torch.cat([one_hot(token // w, h), one_hot(token % w, w)], dim=1)
    return pad(said, (0, -(d + h + w) % ALIGNMENT)).to(torch.float32)


@dataclass(frozen=True, eq=False)
class FoldedAttention:
    """Relative terms as further columns of queries and keys.

    Attributes:
        rows, columns: float[h, h, d] and float[w, w, d].
        marks: float[n, m], see `marks`.
    """

    rows: Tensor
    columns: Tensor
    marks: Tensor

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `RelativeAttention`."""
        d = q.shape[-1]
        by_row, by_column = _terms(q, self.rows, self.columns)
        # The kernel scales the whole product: what must not be scaled is divided beforehand.
        terms = torch.cat([by_row, by_column], dim=-1) * math.sqrt(d)
        empty = self.marks.shape[1] - terms.shape[-1]
        asked = torch.cat([q, pad(terms, (0, empty))], dim=-1)
        marked = torch.cat([k, self.marks.expand(*k.shape[:2], -1, -1)], dim=-1)
        if q.device.type == "cpu":  # its fused kernel wants values as wide as keys
            v = pad(v, (0, self.marks.shape[1]))
        return scaled_dot_product_attention(asked, marked, v, scale=1 / math.sqrt(d))[..., :d]


@dataclass(frozen=True, eq=False)
class BiasedAttention:
    """Relative terms as a bias of a few queries at a time.

    Attributes:
        rows, columns: float[h, h, d] and float[w, w, d].
        bias_bytes: most bytes of bias at a time.
    """

    rows: Tensor
    columns: Tensor
    bias_bytes: int = BIAS_BYTES

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `RelativeAttention`."""
        shape, (n, d) = q.shape, q.shape[-2:]
        terms = _terms(q, self.rows, self.columns)
        by_row, by_column = (term.reshape(-1, n, term.shape[-1]) for term in terms)
        q, k, v = (x.reshape(-1, n, d) for x in (q, k, v))
        mixed = torch.empty_like(q)
        queries = max(1, self.bias_bytes // (n * q.element_size()))
        groups, queries = max(1, queries // n), min(queries, n)
        for first in range(0, len(q), groups):
            some = slice(first, first + groups)
            for start in range(0, n, queries):
                few = (some, slice(start, start + queries))
                bias = (by_row[few].unsqueeze(-1) + by_column[few].unsqueeze(-2)).flatten(-2)
                mixed[few] = scaled_dot_product_attention(
                    q[None, *few], k[None, some], v[None, some], attn_mask=bias[None]
                )[0]
        return mixed.view(shape)


def _terms(q: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """float[b, heads, n, h] and float[b, heads, n, w]: each query's terms."""
    placed = q.reshape(*q.shape[:2], len(rows), len(columns), -1)
    by_row = einsum("bnyxc,yrc->bnyxr", placed, rows)
    by_column = einsum("bnyxc,xrc->bnyxr", placed, columns)
    return by_row.flatten(2, 3), by_column.flatten(2, 3)
