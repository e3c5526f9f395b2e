"""Even sampling, the one rule for points, slices, cases and objects (protocol section 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def even_in_groups(group: NDArray[np.int64], m: int | None) -> NDArray[np.bool_]:
    """Even sampling of at most m items of every group: (2i+1)*n // (2m) (protocol section 2).

    Args:
        group: int64[n], the group of each item, not decreasing.
        m: items per group at most; None: all.

    Returns:
        bool[n], the items that are taken.
    """
    if m is None or len(group) == 0:
        return np.ones(len(group), np.bool_)
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])
    taken = np.repeat(sizes <= m, sizes)
    starts, sizes = starts[sizes > m], sizes[sizes > m]
    places = (2 * np.arange(m)[None, :] + 1) * sizes[:, None] // (2 * m)
    taken[(starts[:, None] + places).ravel()] = True
    return taken
