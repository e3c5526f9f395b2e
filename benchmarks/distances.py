"""Border distances against full-frame Euclidean distance transforms, in one process run.

    python benchmarks/distances.py                    (half a minute)
    python benchmarks/distances.py --device cuda      (a minute; any torch device, cpu too)

Prints, per kind of mask, the median milliseconds per pair of the plain way (scipy's distance
transform of both borders over the whole slice), of samscope without and with the ground truth's
side prepared once, and the ratio to the latter. With --device also, per kind, a batch of trials
scored whole (counts, picks, distances), by the numba twin from arrays and by the torch twin from
tensors on that device, in milliseconds per trial, and the size of the batch's masks, which the
first way would have to copy from a device. Equality is tested in `tests/scoring`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from engine.scoring.distances import TruthBorder
from engine.scoring.score import score_batch

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


def batch_row(name: str, truth: Mask, prediction: Mask, device: str, trials: int) -> str:
    """One line of the table of batches: the prediction shifted a little for each mask."""
    shifts = np.arange(4 * trials).reshape(trials, 4)
    stacks = [np.stack([np.roll(prediction, int(k), 1) for k in row]) for row in shifts]
    there = list(torch.from_numpy(np.stack(stacks)).to(device))
    truths = [TruthBorder.from_mask(truth, (0.7, 0.7))] * trials
    ious = [np.array([0.5, 0.6, 0.9, 0.8], np.float32)] * trials
    here_ms, there_ms = (
        median_ms(lambda m=masks: score_batch(truths, m, ious, (0, 1, 2, 3)), 5) / trials
        for masks in (stacks, there)
    )
    megabytes = sum(stack.nbytes for stack in stacks) / 2**20
    return (
        f"| {name} | {len(truth)} | {trials} | {megabytes:.0f} "
        f"| {here_ms:.2f} | {there_ms:.2f} | {here_ms / there_ms:.2f} |"
    )


def kinds(size: int) -> list[tuple[str, Mask, Mask]]:
    """Name, ground truth and prediction of each kind."""
    truth = blob(size, 0.5, 0.5, 0.2)
    noise = np.random.default_rng(0).random((2, size, size))
    return [
        ("two blobs", truth, blob(size, 0.52, 0.49, 0.21, 3)),
        ("far apart", truth, blob(size, 0.1, 0.1, 0.05)),
        *(
            (f"blob, {share:.0%} speckled", truth, truth ^ (noise[0] < share))
            for share in (0.02, 0.1)
        ),
        *(
            (f"noise against noise, {share:.0%}", noise[0] < share, noise[1] < share)
            for share in (0.05, 0.2, 0.5, 0.9)
        ),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Border distances, samscope and others")
    parser.add_argument("--device", help="also time the torch twin there")
    parser.add_argument("--trials", type=int, default=16, help="of a batch")
    said = parser.parse_args(argv)
    print("| masks | size | plain ms | samscope ms | truth prepared ms | plain / prepared |")
    print("|---|---|---|---|---|---|")
    for size in (512, 1024):
        for name, truth, prediction in kinds(size):
            print(row(name, truth, prediction))
    if said.device:
        print(f"\n| masks | size | trials | MiB | numba ms | torch {said.device} ms | ratio |")
        print("|---|---|---|---|---|---|---|")
        for name, truth, prediction in kinds(512):
            print(batch_row(name, truth, prediction, said.device, said.trials))


if __name__ == "__main__":
    main()
