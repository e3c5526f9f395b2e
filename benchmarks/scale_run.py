"""The driver's memory over a run of thousands of small slices, through Ray.

    python benchmarks/scale_run.py /tmp/many --slices 10000      (minutes)

One disc a slice of 64 x 64 pixels, a fake model, `box` at two jitter levels (4 trials a slice), so
that what is measured is the pipeline; another process makes the collection. Prints the driver's own
memory (resident, neither files nor shared) in tenths of the run, then times what a second call does
that finds everything committed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
from rich.console import Console
from scale import measured

from engine.collection.case import CuratedCase, Label, SourceFile
from engine.collection.ingest import ingest_cases
from engine.collection.source import DatasetInfo
from engine.pipeline.run import run_study
from engine.study import Runtime

SIZE = 64
SLICES_PER_CASE = 500
INFO = DatasetInfo("many", "Many slices", "CC0", "made by scale_run.py", 1, "0" * 64, "0" * 64)
STUDY = """\
name: many
models: [{{name: fake, model: {fake}}}]
strategies: [box]
jitter: {{levels: [[0, 0], [0, 10]], trials: 3}}
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Make the collection where there is none, then run the study twice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=10_000)
    said = parser.parse_args(argv)
    collection, study = said.folder / "many.zarr", said.folder / "study.yaml"
    if not collection.exists():
        with measured("ingest"):
            apart = multiprocessing.get_context("spawn")
            maker = apart.Process(target=make_collection, args=(collection, said.slices))
            maker.start()
            maker.join()
            if maker.exitcode:
                sys.exit(maker.exitcode)
    (said.folder / "fake.yaml").write_text("kind: fake\n")
    study.write_text(STUDY.format(fake=said.folder / "fake.yaml"))
    for turn in ("run", "again"):
        with measured(turn), watched() as memory:
            outcome = run_study(
                study, collection, said.folder / "run", Runtime(), Console(quiet=True)
            )
        sys.stdout.write(f"{outcome.units_run} units, {outcome.done} trials done\n")
        for tenth in range(10):
            part = memory[tenth * len(memory) // 10 : (tenth + 1) * len(memory) // 10]
            if part:
                sys.stdout.write(f"{part[0][0]:.0f}-{part[-1][0]:.0f} s: {part[-1][1]:.0f} MiB\n")


def make_collection(path: Path, slices: int) -> None:
    """So many slices, in cases of `SLICES_PER_CASE`."""
    cases = range(-(-slices // SLICES_PER_CASE))
    ingest_cases(INFO, [case(number, SLICES_PER_CASE) for number in cases], path)


def case(number: int, slices: int) -> CuratedCase:
    """Noise with a disc in every slice, at a place of its own."""
    rng = np.random.default_rng(number)
    image = rng.integers(-200, 200, (slices, SIZE, SIZE)).astype(np.int16)
    y, x = np.mgrid[:SIZE, :SIZE]
    cy, cx = rng.integers(14, SIZE - 14, (2, slices, 1, 1))
    labels = ((y - cy) ** 2 + (x - cx) ** 2 <= 100).astype(np.uint8)[None]
    name = f"case{number:04}"
    return CuratedCase(
        dataset="many", case=name, subject=name, modality="CT", plane="axial", image=image,
        labels=labels, meaning=(Label(0, 1, "disc"),), spacing_mm=(5.0, 0.8, 0.8), affine=None,
        sources=(SourceFile(f"{name}.nii.gz", "0" * 64),),
    )  # fmt: skip


@contextmanager
def watched() -> Iterator[list[tuple[float, float]]]:
    """(seconds, MiB of this process's own), every second."""
    seen: list[tuple[float, float]] = []
    ended, started = threading.Event(), monotonic()

    def look() -> None:
        while not ended.wait(1):
            (own,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
            seen.append((monotonic() - started, int(own) / 1024))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
