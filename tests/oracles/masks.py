"""Random masks for property tests: speckles, blobs, lone pixels, thin images, full frames."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def shapes(largest: int = 28) -> st.SearchStrategy[tuple[int, int]]:
    side = st.integers(1, largest)
    return st.one_of(
        st.tuples(side, side), st.tuples(st.just(1), side), st.tuples(side, st.just(1))
    )


def masks(shape: tuple[int, int]) -> st.SearchStrategy[Mask]:
    """Any mask of `shape`, empty ones included."""
    return st.one_of(
        hnp.arrays(np.bool_, shape),
        st.builds(speckles, st.just(shape), st.integers(0, 2**32 - 1), st.floats(0, 1)),
        st.builds(
            blobs,
            st.just(shape),
            st.lists(
                st.tuples(
                    st.floats(-2, shape[0] + 2),
                    st.floats(-2, shape[1] + 2),
                    st.floats(0.3, max(shape)),
                    st.floats(0.3, max(shape)),
                ),
                min_size=1,
                max_size=3,
            ),
        ),
        st.just(np.ones(shape, dtype=bool)),
    )


@st.composite
def objects(draw: st.DrawFn, largest: int = 28) -> Mask:
    """A mask with at least one pixel."""
    return draw(not_empty(draw(shapes(largest))))


@st.composite
def not_empty(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    mask = draw(masks(shape)).copy()
    if not mask.any():
        mask[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = True
    return mask


def speckles(shape: tuple[int, int], seed: int, share: float) -> Mask:
    noise: Mask = np.random.default_rng(seed).random(shape) < share
    return noise


def blobs(shape: tuple[int, int], ellipses: list[tuple[float, float, float, float]]) -> Mask:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, dtype=bool)
    for y, x, ry, rx in ellipses:
        mask |= ((rows - y) / ry) ** 2 + ((columns - x) / rx) ** 2 <= 1
    return mask
