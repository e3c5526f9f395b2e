"""All object factors of one object, in one process on one thread.

    python benchmarks/factors.py            (ten seconds)

Prints, per kind of object in a 512 x 512 grey image, milliseconds of the thread's CPU time, which
waiting for other jobs does not lengthen: median and least of 31 repeats, then the medians of the
dearest parts by themselves. Jobs that share caches and cores lengthen CPU time too: beside them,
the least is nearer to what a free machine takes. Equality with slow references is tested in
`tests/scoring/factors`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from distances import Mask, blob
from scipy.ndimage import gaussian_filter

from engine.scoring.factors import FACTORS, FactorInput, compute_factors
from engine.scoring.factors.runs import runs_of, topology_of
from engine.scoring.factors.surround import contrast_of, window_of

SIZE = 512
REPEATS = 31


def cpu_ms(work: Callable[[], object]) -> list[float]:
    """CPU times of `work` after one warm-up, ascending."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.thread_time()
        work()
        times.append(1000 * (time.thread_time() - started))
    return sorted(times)


def objects() -> dict[str, Mask]:
    """One object of each kind."""
    rng = np.random.default_rng(0)
    large = blob(SIZE, 0.5, 0.5, 0.3)
    noise = rng.normal(size=(SIZE, SIZE))
    return {
        "lesion of 30 px": blob(SIZE, 0.5, 0.5, 0.03),
        "organ of 300 px": large,
        "star of 20 lobes": blob(SIZE, 0.5, 0.5, 0.3, 20),
        "full frame": np.ones((SIZE, SIZE), dtype=np.bool_),
        "speckled: organ and 2 % noise": large ^ (rng.random((SIZE, SIZE)) < 0.02),
        "vessels: smoothed noise": gaussian_filter(noise, 3) > 0,
        "white noise": noise > 0,
        "chessboard": np.indices((SIZE, SIZE)).sum(axis=0) % 2 == 1,
    }


def parts_ms(mask: Mask, image: np.ndarray) -> list[float]:
    """Median milliseconds of runs and topology, window and contrast, outline, gradient."""
    seen = FactorInput.from_image(mask, image)
    compute_factors(mask, image)
    work: list[Callable[[], object]] = [
        lambda: topology_of(runs_of(seen.framed)),
        lambda: contrast_of(window_of(seen.mask, seen.grey, seen.box), seen.area_px),
        lambda: FACTORS.get("fourier_order")(seen),
        lambda: FACTORS.get("boundary_gradient")(seen),
    ]
    return [statistics.median(cpu_ms(part)) for part in work]


def main() -> None:
    """Print the table."""
    image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    print("| object | ms | least ms | topology | contrast | Fourier order | gradient |")
    print("|---|---|---|---|---|---|---|")
    for name, mask in objects().items():
        times = cpu_ms(partial(compute_factors, mask, image))
        cells = [statistics.median(times), times[0], *parts_ms(mask, image)]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in cells)} |", flush=True)


if __name__ == "__main__":
    main()
