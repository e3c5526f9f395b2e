"""Border distances of many masks at once, as tensor operations: the twin of `border_kernels`.

The same two steps on any device: down the columns for every pixel, then along the row of each query
pixel, here over all its columns. With the pixel as unit all is integers, hence equal to the twin's
to the bit; sums of roots differ in the order of addition. Nothing depends on what else is in a
batch, and no operation here adds floats in an order that varies from run to run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from engine.masks import pieces

ROW_ENTRY_BYTES = 32
"""Bytes that one column of one query's row takes for a moment."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """Border pixels of several masks, sorted by mask.

    Attributes:
        pair: int64[n], the comparison each belongs to.
        rows, columns: int64[n].
        counts: int64[pairs], pixels of each comparison, none 0.
    """

    pair: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    counts: torch.Tensor


def border(masks: torch.Tensor) -> torch.Tensor:
    """bool[k, y, x]: pixels of bool[k, y, x] with a 4-neighbour outside the mask or the frame."""
    wide = pad(masks, (1, 1, 1, 1))
    core = wide[:, :-2, 1:-1] & wide[:, 2:, 1:-1] & wide[:, 1:-1, :-2] & wide[:, 1:-1, 2:]
    return masks & ~core


def pixels_of(edges: torch.Tensor) -> Pixels:
    """The true pixels of bool[k, y, x], a comparison for each of the k, row-major."""
    pair, rows, columns = edges.nonzero().unbind(1)
    ends = torch.arange(len(edges) + 1, device=edges.device)
    return Pixels(pair, rows, columns, torch.searchsorted(pair, ends).diff())


def column_distance(edges: torch.Tensor, far: int) -> torch.Tensor:
    """int32[k, y, x]: rows to the nearest true pixel of the same column; `far` where it has none.

    Args:
        edges: bool[k, y, x].
        far: more than any distance in the frame.
    """
    height = edges.shape[1]
    rows = torch.arange(height, dtype=torch.int32, device=edges.device)[:, None]
    above = torch.where(edges, rows, -far).cummax(dim=1).values
    below = torch.where(edges, rows, height + far).flip(1).cummin(dim=1).values.flip(1)
    return torch.minimum(rows - above, below - rows).clamp_(max=far)


def far_in(height: int, width: int) -> int:
    """A column distance whose square exceeds every squared distance of the frame.

    No larger: with a frame's width, squared, it fits int32 for sides up to the longest allowed.
    """
    return math.isqrt(height**2 + width**2) + 1


def nearest_sq(
    field: torch.Tensor,
    place: torch.Tensor,
    asked: Pixels,
    spacing_sq: torch.Tensor | None = None,
) -> torch.Tensor:
    """[n]: squared distance of each query pixel to the nearest border pixel.

    Args:
        field: int32[k, y, x] of `column_distance`, with the `far_in` of its own frame.
        place: int64[n], which of the k each query looks at.
        asked: the n query pixels, in the frame of `field`.
        spacing_sq: float64[pairs, 2], squared height and width of a pixel of each comparison; the
            result is float64 then. None: int32, in pixels.
    """
    width, far = field.shape[2], far_in(*field.shape[1:])
    kind = torch.int32 if spacing_sq is None else torch.float64
    across = torch.arange(width, device=field.device, dtype=kind)
    columns = asked.columns.to(kind)
    found = field.new_empty(len(place), dtype=kind)
    for part in pieces(len(place), width * ROW_ENTRY_BYTES):
        down = field[place[part], asked.rows[part]]
        down_sq = down.to(kind).square_()
        across_sq = (columns[part, None] - across).square_()
        if spacing_sq is not None:
            row_sq, column_sq = spacing_sq[asked.pair[part]].unsqueeze(2).unbind(1)
            # No column distance is far enough for every ratio of the spacings.
            down_sq = down_sq.mul_(row_sq).masked_fill_(down >= far, torch.inf)
            across_sq = across_sq.mul_(column_sq)
        found[part] = down_sq.add_(across_sq).amin(dim=1)
    return found


def summary(squares: torch.Tensor, asked: Pixels, limits_sq: torch.Tensor) -> torch.Tensor:
    """What the scores need of one direction's squared distances, for each comparison.

    Args:
        squares: [n], of the query pixels `asked`.
        limits_sq: float64[pairs, l].

    Returns:
        float64[pairs, 5 + l]: number of distances; largest square; the two squares between which
        the 95th percentile lies; sum of the roots; for each limit the number of squares within it.
    """
    squares, counts = squares.double(), asked.counts
    order = squares.argsort()
    ordered = squares[order[asked.pair[order].argsort(stable=True)]]
    first = counts.cumsum(0) - counts
    below = (0.95 * (counts - 1).double()).long()
    at = (counts - 1, below, torch.minimum(below + 1, counts - 1))
    within = (squares[:, None] <= limits_sq[asked.pair]).double()
    # Roots in ascending order, so that a sum does not depend on where its pixels lie.
    sums = [_per_pair(values, counts) for values in (ordered.sqrt(), *within.unbind(1))]
    return torch.stack([counts.double(), *(ordered[first + k] for k in at), *sums], dim=1)


def _per_pair(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    # One block adds each segment, in a fixed order: `index_add` would add floats as they come.
    return torch.segment_reduce(values.contiguous(), "sum", lengths=counts, unsafe=True)
