"""Border distances against full-frame Euclidean distance transforms, in one process run.

    python benchmarks/distances.py            (half a minute)

Prints, per kind of mask, the median milliseconds per pair of the plain way (scipy's distance
transform of both borders over the whole slice), of samscope without and with the ground truth's
side prepared once, and the ratio to the latter. Equality is tested in `tests/scoring`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from engine.scoring.distances import TruthBorder

Mask = NDArray[np.bool_]


def blob(size: int, y: float, x: float, radius: float, lobes: int = 5) -> Mask:
    """A wavy disc; y, x and radius as shares of the size."""
    rows, columns = np.mgrid[:size, :size]
    dy, dx = rows - y * size, columns - x * size
    edge = radius * size * (1 + 0.15 * np.cos(lobes * np.arctan2(dy, dx)))
    mask: Mask = np.hypot(dy, dx) <= edge
    return mask


def plain(truth: Mask, prediction: Mask) -> float:
    """Hausdorff distance by two distance transforms of the whole slice."""
    borders = [m & ~binary_erosion(m) for m in (truth, prediction)]
    fields = [distance_transform_edt(~border) for border in borders]
    return float(max(fields[0][borders[1]].max(), fields[1][borders[0]].max()))


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def row(name: str, truth: Mask, prediction: Mask) -> str:
    """One line of the table."""
    border = TruthBorder.from_mask(truth)
    slow = median_ms(lambda: plain(truth, prediction), 5)
    fresh = median_ms(lambda: TruthBorder.from_mask(truth).distances(prediction), 30)
    fast = median_ms(lambda: border.distances(prediction), 30)
    ratio = slow / fast
    return f"| {name} | {len(truth)} | {slow:.1f} | {fresh:.2f} | {fast:.2f} | {ratio:.0f} |"


def main() -> None:
    """Print the table."""
    print("| masks | size | plain ms | samscope ms | truth prepared ms | plain / prepared |")
    print("|---|---|---|---|---|---|")
    for size in (512, 1024):
        truth = blob(size, 0.5, 0.5, 0.2)
        noise = np.random.default_rng(0).random((2, size, size))
        print(row("two blobs", truth, blob(size, 0.52, 0.49, 0.21, 3)))
        print(row("far apart", truth, blob(size, 0.1, 0.1, 0.05)))
        for share in (0.02, 0.1):
            print(row(f"blob, {share:.0%} speckled", truth, truth ^ (noise[0] < share)))
        print(row("noise", noise[0] < 0.5, noise[1] < 0.5))


if __name__ == "__main__":
    main()
