"""A run on two simulated nodes whose driver, workers and nodes are killed at random.

    python tests/pipeline/chaos.py --kills 20 --seed 1      (about a third of a minute a kill)
    python tests/pipeline/chaos.py --kills 200 --minutes 45               (as many as fit)

Starts a cluster of a head and one more node on this machine, runs a study of the fake model on it,
and kills (SIGKILL) the driver, an evaluator's process or the node, each time after some new
manifests, so that every kill hits work in progress. A killed driver is started again, a killed node
replaced. At the end every table that a user can query must equal those of an undisturbed run: a
plain loop without Ray.
Prints one line a kill and a verdict; exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ray.cluster_utils import Cluster  # noqa: E402
from worlds import run_without_ray, toy_collection, write_study  # noqa: E402

from engine.results.parts import PartStore  # noqa: E402
from engine.results.query import run_sql  # noqa: E402

STUDY = """\
name: chaos
models: [{name: fake, model: FAKE}]
strategies: [everything, point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 2}
"""
CELLS = 4
"""Of a unit: three strategies and the object factors."""
UNITS_A_KILL = 6
"""Units of the collection for each kill, so that there is work left for the last one."""
TABLES = ("results", "candidates", "slice_candidates", "overlaps", "coverage", "failures")
TARGETS = ("driver", "worker", "node")
PATIENCE_S = 180.0


@dataclass
class Havoc:
    """One run and the cluster it is run on."""

    study: Path
    collection: Path
    run: Path
    rng: random.Random
    cluster: Any = field(default_factory=lambda: Cluster(True, head_node_args=_node()))
    node: Any = None
    driver: subprocess.Popen[bytes] | None = None
    gave_up: int = 0

    def __enter__(self) -> Havoc:
        self.node = self.cluster.add_node(**_node())
        return self

    def __exit__(self, *_: object) -> None:
        if self.driver is not None and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()
        self.cluster.shutdown()

    def start_driver(self) -> None:
        """Begin, or resume."""
        command = [
            sys.executable, "-m", "engine", "evaluate", str(self.study), "--collection",
            str(self.collection), "--out", str(self.run), "--address", self.cluster.address,
            "--actors", "2", "--attempts", "9",
        ]  # fmt: skip
        log = (self.run.parent / "driver.log").open("ab")
        self.driver = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def committed(self) -> int:
        """Manifests so far."""
        return len(list((self.run / "parts/_manifests").glob("*.json")))

    def wait_for(self, manifests: int) -> bool:
        """Until that many are there; False when the run ended before."""
        deadline = time.monotonic() + PATIENCE_S
        while self.committed() < manifests:
            if self.ended():
                return False
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.committed()} manifests, none new in {PATIENCE_S:.0f} s")
            time.sleep(0.05)
        return True

    def ended(self) -> bool:
        """Whether the run is finished; a driver that gave up is started again."""
        assert self.driver is not None
        code = self.driver.poll()
        if code is None:
            return False
        if code == 0:
            return True
        self.gave_up += 1
        if self.gave_up > 3:
            raise RuntimeError(f"the driver gave up {self.gave_up} times, last with code {code}")
        self.start_driver()
        return False

    def kill(self, target: str) -> str:
        """Kill one of TARGETS; says what was hit."""
        return {"driver": self._driver, "worker": self._worker, "node": self._node}[target]()

    def _driver(self) -> str:
        assert self.driver is not None
        self.driver.kill()
        self.driver.wait()
        self.start_driver()
        return "driver"

    def _worker(self) -> str:
        pids = [pid for pid in self._evaluators() if _kill(pid)]
        return f"worker {pids[0]}" if pids else "no worker was there"

    def _node(self) -> str:
        self.cluster.remove_node(self.node, allow_graceful=False)
        self.node = self.cluster.add_node(**_node())
        return "node"

    def _evaluators(self) -> list[int]:
        """One evaluator's process id, drawn at random; none when there is none just now."""
        raylets = {
            info.process.pid
            for node in (self.cluster.head_node, self.node)
            for info in node.all_processes["raylet"]
        }
        found = sorted(pid for pid in map(int, _numbers()) if _is_evaluator(pid, raylets))
        return [self.rng.choice(found)] if found else []


def _node() -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": 128 * 2**20, "include_dashboard": False}


def _numbers() -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_evaluator(pid: int, raylets: set[int]) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return False
    return b"EvaluatorActor" in title and parent in raylets


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def tables(run: Path) -> dict[str, pa.Table]:
    """What a user can query, sorted; ids of attempts and times are no part of it."""
    return {name: run_sql(run, f'FROM "{name}" ORDER BY ALL') for name in TABLES}


def problems(run: Path, reference: Path) -> list[str]:
    """In what a run differs from the undisturbed one."""
    found, wanted = tables(run), tables(reference)
    differing = [
        f"{name}: {len(found[name])} rows, {len(wanted[name])} undisturbed"
        for name in TABLES
        if not found[name].equals(wanted[name])
    ]
    store = PartStore(run)
    manifests = list(store.manifests(set_aside=False))
    cells = {manifest.cell for manifest in manifests}
    if len(cells) != len(manifests):
        differing.append(f"{len(manifests)} manifests for {len(cells)} cells")
    differing += [text for m in manifests if (text := store.problem(m)) is not None]
    return differing


def plan_of(kills: int, rng: random.Random) -> list[str]:
    """Targets, each of them at least once where there are enough."""
    rest = [rng.choice(TARGETS) for _ in range(kills - len(TARGETS))]
    targets = [*TARGETS, *rest][:kills]
    rng.shuffle(targets)
    return targets


def wreak(
    havoc: Havoc, targets: Sequence[str], say: Callable[[str], None], minutes: float = math.inf
) -> tuple[int, int]:
    """Kill each target after some new manifests, then let the run end.

    Args:
        minutes: after which nothing more is killed.

    Returns:
        (kills, how many of them hit work in progress).
    """
    havoc.start_driver()
    kills = hit = 0
    over = time.monotonic() + 60 * minutes
    for number, target in enumerate(targets, 1):
        if time.monotonic() > over:
            say(f"time is up after {kills} kills")
            break
        wanted = havoc.committed() + CELLS * havoc.rng.randint(1, 3) + havoc.rng.randint(0, 3)
        if not havoc.wait_for(wanted):
            say(f"the run ended before kill {number}")
            break
        before = havoc.committed()
        what = havoc.kill(target)
        kills += 1
        hit += what != "no worker was there"
        say(f"{number}: {what}, at {before} manifests")
    while not havoc.ended():
        time.sleep(0.2)
    return kills, hit


def main(argv: Sequence[str] | None = None) -> int:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description="kill what runs, and compare what is left")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=math.inf, help="kill no longer than that")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the runs; default: a temporary one")
    said = parser.parse_args(argv)
    rng = random.Random(said.seed)
    with tempfile.TemporaryDirectory(prefix="chaos") as temporary:
        folder = said.keep or Path(temporary)
        for name in ("calm", "wild"):
            (folder / name).mkdir(parents=True)
        cases = max(3, -(-said.kills * UNITS_A_KILL // 2))
        collection = toy_collection(folder / "toy.zarr", cases=cases)
        calm = write_study(folder / "calm", STUDY)
        wild = write_study(folder / "wild", STUDY, fake="seconds_per_slice: 0.3\n")
        run_without_ray(calm, collection, folder / "calm/run")
        started = time.monotonic()
        with Havoc(wild, collection, folder / "wild/run", rng) as havoc:
            targets = plan_of(said.kills, rng)
            kills, hit = wreak(havoc, targets, lambda text: print(text, flush=True), said.minutes)
            gave_up = havoc.gave_up
        differing = problems(folder / "wild/run", folder / "calm/run")
        rows = len(tables(folder / "wild/run")["results"])
        print(
            f"{hit} of {kills} kills hit work in progress, {gave_up} drivers gave up by "
            f"themselves, {time.monotonic() - started:.0f} s, {rows:,} rows: "
            + ("; ".join(differing) or "equal to the undisturbed run")
        )
    wanted = said.kills if math.isinf(said.minutes) else 1
    return 1 if differing or hit < kills or kills < wanted else 0


if __name__ == "__main__":
    sys.exit(main())
