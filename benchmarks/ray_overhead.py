"""What Ray costs: the same units through Ray and through a plain loop, in one run.

    python benchmarks/ray_overhead.py /tmp/overhead                                     (minutes)

Units of 32 slices of 64 x 64 pixels with a fake model that takes 20 (then 5) milliseconds a
slice. The plain loop is the evaluator itself, commits included, in this process and without Ray;
against it stands one evaluator in Ray. Both run over two numbers of units, in turns.

Efficiency is the plain loop's seconds of a unit divided by Ray's, in two ways: a unit's seconds
from the difference of the two runs (what is left is start-up, whose noise is in it), and within
the larger run, from its first commit to its last. The plain loop reads between units, Ray
meanwhile: more than 1 is possible. Results must be equal.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter

import ray
from rich.console import Console
from scale_run import INFO, case

from engine.collection.ingest import ingest_cases
from engine.models.numerics import numerics_of
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.datasource import read_unit
from engine.pipeline.events import NAME, read_events
from engine.pipeline.history import latest
from engine.pipeline.run import run_study
from engine.planning.ground import plan_study, read_study
from engine.results.parts import PartStore
from engine.runs import RunDir
from engine.study import Runtime

SLICES = 32
STUDY = """\
name: overhead
models: [{{name: fake, model: {fake}}}]
strategies: [box]
jitter: {{levels: [[0, 0], [0, 10]], trials: 3}}
"""


@dataclass(frozen=True)
class Ground:
    """A folder with a collection of some units, and a study over it."""

    folder: Path
    units: int

    @property
    def collection(self) -> Path:
        return self.folder / f"units{self.units}.zarr"

    def lay(self) -> None:
        """Ingest the collection where there is none."""
        if not self.collection.exists():
            cases = [case(number, SLICES) for number in range(self.units)]
            ingest_cases(INFO, cases, self.collection, unit_slices=SLICES)

    def study(self, milliseconds: float) -> Path:
        fake, study = self.folder / "fake.yaml", self.folder / "study.yaml"
        fake.write_text(f"kind: fake\nseconds_per_slice: {milliseconds / 1000}\n")
        study.write_text(STUDY.format(fake=fake))
        return study


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table, a line for every model's speed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--units", type=int, nargs=2, default=(40, 120))
    parser.add_argument("--milliseconds", type=float, nargs="+", default=(20.0, 5.0))
    parser.add_argument("--turns", type=int, default=3)
    said = parser.parse_args(argv)
    said.folder.mkdir(parents=True, exist_ok=True)
    grounds = [Ground(said.folder, units) for units in sorted(said.units)]
    for ground in grounds:
        ground.lay()
    # Ray's workers step back behind other processes; the plain loop does not.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  Ray spells it so
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    print(
        "| ms a slice | plain, s a unit | efficiency: two runs | within a run | busy "
        "| start-up of evaluators, s | load |\n|---|---|---|---|---|---|---|"
    )
    for milliseconds in said.milliseconds:
        for _ in range(said.turns):
            print(_turn(grounds, milliseconds), flush=True)


@dataclass(frozen=True)
class Timed:
    """A run: its seconds, and those from the first of its units' commits to the last."""

    units: int
    seconds: float
    between: float

    @property
    def slope(self) -> float:
        """Seconds of one more unit."""
        return self.between / (self.units - 1)


def _turn(grounds: Sequence[Ground], milliseconds: float) -> str:
    """The plain loop and Ray over both collections, neighbours in time: a line of the table."""
    plain, through_ray = [], []
    for ground in grounds:
        study = ground.study(milliseconds)
        plain.append(_plain(ground, study))
        through_ray.append(_through_ray(ground, study))
        _same(ground)
    ways = (plain, through_ray)
    slope, slope_ray = ((m.seconds - f.seconds) / (m.units - f.units) for f, m in ways)
    start = through_ray[0].seconds - slope_ray * through_ray[0].units
    history = latest(read_events(grounds[-1].folder / "ray" / NAME))
    assert history is not None
    return (
        f"| {milliseconds:g} | {slope:.3f} | {slope / slope_ray:.3f} "
        f"| {plain[1].slope / through_ray[1].slope:.3f} | {history.busy:.0%} "
        f"| {start:.1f} | {os.getloadavg()[0]:.1f} |"
    )


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _plain(ground: Ground, study: Path) -> Timed:
    """The loop: read, evaluate, commit."""
    plan = plan_study(read_study(study), ground.collection, numerics_of("cpu")).plan
    run = RunDir.prepare(_fresh(ground.folder / "plain"), ground.collection)
    run.begin(plan.study)
    actor = EvaluatorActor(Assignment(plan.study, "cpu", str(run.path), plan.cards, plan.numerics))
    ends = [perf_counter()]
    for task in plan.units:
        actor(read_unit(str(ground.collection), task.pack()))
        ends.append(perf_counter())
    return Timed(len(plan.units), ends[-1] - ends[0], ends[-1] - ends[1])


def _through_ray(ground: Ground, study: Path) -> Timed:
    """As the run books itself: plan and database are left out."""
    out = _fresh(ground.folder / "ray")
    run_study(study, ground.collection, out, Runtime(actors=1), Console(quiet=True))
    ends = [e["at"] for e in read_events(out / NAME) if e["event"] == "unit"]
    first, last = (datetime.fromisoformat(at) for at in (ends[0], ends[-1]))
    return Timed(len(ends), RunDir.open(out).wall_s, (last - first).total_seconds())


def _same(ground: Ground) -> None:
    """The bytes of all parts must be equal."""
    plain, through_ray = (set(_digests(ground.folder / way)) for way in ("plain", "ray"))
    if plain != through_ray:
        sys.exit("the results differ")


def _digests(run: Path) -> Iterator[tuple[str, str, str]]:
    for manifest in PartStore(run).manifests():
        for part in manifest.files:
            yield manifest.name, part.table, part.sha256


if __name__ == "__main__":
    main()
