"""Time per slice and memory over thousands of slices in one evaluator.

    python benchmarks/steady.py --collection runs/shared_data.zarr --out steady.html      (minutes)

Twenty slices go through one evaluator over and over, all strategies but Everything with all
jitter, one object each. A round's time and the process's memory after it should be the same from
the first round after warm-up to the last. Beside each round the same product of matrices is timed,
because a shared machine changes its speed: what must be flat is the round's time in products.
Prints tenths of the run, and draws every round.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from engine.bench.work import Work, works
from engine.evaluate import Evaluator
from engine.models.numerics import numerics_of
from engine.models.registry import load_model
from engine.planning.ground import plan_study, read_study
from engine.stores import place_of

PER_ROUND = 20


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, and write the plot where one is asked for."""
    parser = argparse.ArgumentParser(description="time and memory over many slices")
    parser.add_argument("--collection", default="runs/shared_data.zarr")
    parser.add_argument("--study", type=Path, default=Path("studies/shared_data.yaml"))
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="an HTML file for the plot")
    said = parser.parse_args(argv)
    if said.out is not None and said.out.is_dir():
        parser.error(f"--out: {said.out} is a folder, and the plot is a file")
    torch.set_num_threads(1)
    place = place_of(said.collection)
    plan = plan_study(read_study(said.study), place, numerics_of("cpu")).plan
    name = plan.study.models[0].name
    models = {name: load_model(plan.study.models[0])}
    evaluator = Evaluator(plan.study, models, numerics_of("cpu"))
    some = list(works(plan, str(place), PER_ROUND, 1, name))
    seconds, products, mib = [], [], []
    for _ in range(said.slices // len(some)):
        before = _product()
        seconds.append(_round(evaluator, some) / len(some))
        products.append(seconds[-1] / statistics.mean((before, _product())))
        gc.collect()
        mib.append(_memory_mib())
    print("| slices | ms per slice, median of rounds | in products | memory, MiB |")
    print("|---|---|---|---|")
    step = max(1, len(seconds) // 10)
    for start in range(0, len(seconds) - step + 1, step):
        part = slice(start, start + step)
        print(
            f"| {start * len(some)}-{(start + step) * len(some)} "
            f"| {1000 * statistics.median(seconds[part]):.1f} "
            f"| {statistics.median(products[part]):.2f} | {max(mib[part]):.0f} |"
        )
    if said.out is not None:
        figure = make_subplots(rows=3, cols=1, shared_xaxes=True)
        x = [(k + 1) * len(some) for k in range(len(seconds))]
        figure.add_trace(go.Scatter(x=x, y=[1000 * s for s in seconds], name="ms per slice"), 1, 1)
        figure.add_trace(go.Scatter(x=x, y=products, name="the same in products"), 2, 1)
        figure.add_trace(go.Scatter(x=x, y=mib, name="memory, MiB"), 3, 1)
        figure.update_yaxes(rangemode="tozero").update_xaxes(title="slices", row=3)
        figure.write_html(said.out)


def _product() -> float:
    """Seconds of one product of matrices, the median of a few."""
    matrix = torch.ones(1024, 1024)
    taken = []
    for _ in range(5):
        started = perf_counter()
        matrix @ matrix
        taken.append(perf_counter() - started)
    return statistics.median(taken)


def _memory_mib() -> float:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _round(evaluator: Evaluator, some: Sequence[Work]) -> float:
    started = perf_counter()
    for work in some:
        evaluator.evaluate(work.task, [work.pixels])
    return perf_counter() - started


if __name__ == "__main__":
    main()
