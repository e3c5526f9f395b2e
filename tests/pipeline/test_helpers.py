"""CPUs beside GPUs: machines without one do whole units, and nothing depends on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import ONLY_FAKE, run_without_ray, toy_collection, write_study

from engine.models.memory import Projection
from engine.models.numerics import numerics_of
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.datasource import read_unit
from engine.pipeline.events import read_events
from engine.pipeline.helpers import Helper
from engine.pipeline.shares import Shares
from engine.planning.admission import room
from engine.planning.ground import Planning, plan_study, read_study
from engine.results.attempts import Attempt, at_work, begin
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.runs import RunDir
from engine.stores import store_of

MIXED = ONLY_FAKE + "mixed_numerics: true\n"
SIMULATED = Path(__file__).parent / "simulated_gpu"
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"object_store_memory": 128 * 2**20, "include_dashboard": False}
cluster = Cluster(True, head_node_args={**node, "num_cpus": 0})
cluster.add_node(**node, num_cpus=1, num_gpus=1, env_vars={"PYTHONPATH": sys.argv[1]})
helpers = cluster.add_node(**node, num_cpus=2)
print(cluster.address, flush=True)
for line in sys.stdin:  # a machine is lost, another one joins
    cluster.remove_node(helpers, allow_graceful=False)
    helpers = cluster.add_node(**node, num_cpus=2)
    print("replaced", flush=True)
cluster.shutdown()
"""


@dataclass
class SmallCluster:
    """A head without CPUs, a machine with a simulated GPU, and one with two CPUs."""

    process: subprocess.Popen[str]
    address: str

    def replace_helpers(self) -> None:
        """Kill the machine with two CPUs; another one joins."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("replace\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "replaced\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[SmallCluster]:
    command = [sys.executable, "-c", CLUSTER, os.pathsep.join([str(SIMULATED), *sys.path])]
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = next(one for one in process.stdout if ":" in one and " " not in one)
            yield SmallCluster(process, address.strip())
        finally:
            process.stdin.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("many") / "toy.zarr", cases=8)


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study on one machine, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run_without_ray(write_study(folder, MIXED), many, folder / "run")


@contextmanager
def evaluating(
    study: Path, collection: Path, run: Path, address: str, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """A run in the background, which must end well."""
    command = [
        sys.executable, "-m", "engine", "evaluate", str(study), "--collection", str(collection),
        "--out", str(run), "--address", address, *options,
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(240) == 0, errors


def helped(run: Path) -> dict[str, set[str]]:
    """Units by their worker, of those that CPUs have committed."""
    found: dict[str, set[str]] = {}
    for manifest in PartStore(run).manifests(set_aside=False):
        device = manifest.info["numerics"]["device"]
        if device.startswith("cpu") and not manifest.cell.is_factors:
            found.setdefault(manifest.info["worker"], set()).add(manifest.cell.unit_id)
    return found


def wait_for_helpers(run: Path, process: subprocess.Popen[str]) -> list[str]:
    """Workers of the first units that CPUs have committed."""
    while process.poll() is None:
        if (run / "parts/_manifests").exists() and (found := helped(run)):
            return list(found)
        time.sleep(0.1)
    raise AssertionError("the run ended before a helper had done anything")


def tables(run: Path) -> list[pa.Table]:
    names = ("results", "candidates", "overlaps", "coverage", "failures")
    return [run_sql(run, f'SELECT * FROM "{name}" ORDER BY ALL') for name in names]


@pytest.mark.ray
def test_machines_without_a_gpu_help_and_one_is_killed(
    cluster: SmallCluster, many: Path, undisturbed: Path, tmp_path: Path
) -> None:
    study, run = write_study(tmp_path, MIXED, "seconds_per_slice: 0.4\n"), tmp_path / "run"
    with evaluating(study, many, run, cluster.address) as process:
        first, *_ = wait_for_helpers(run, process)
        os.kill(int(first.rpartition(":")[2]), signal.SIGKILL)
    log = (run / "run.log").read_text()
    assert log.count("has room for") == log.count("has room for 2 helpers") == 1
    assert "is lost" in log
    assert tables(run) == tables(undisturbed)
    sql = "SELECT DISTINCT device FROM units WHERE model <> '-' ORDER BY 1"
    kinds = run_sql(run, sql)["device"].to_pylist()
    assert kinds == [numerics_of("cpu").device, "cuda-Simulated"]
    units = [one for one in read_events(run / "events.jsonl") if one["event"] == "unit"]
    ids = [one["unit_id"] for one in units]
    assert len(ids) == len(set(ids)) == 16  # one receipt a unit, whoever did it
    assert {one["helper"] for one in units} == {True, False}
    assert all(not one["failed"] for one in units)


DRIVER = """
import sys
from pathlib import Path
from rich.console import Console
from engine.errors import UserError
from engine.pipeline import run
from engine.pipeline.events import EventLog
from engine.study import Runtime
def full(self, receipt):
    raise UserError("the disk is full")
EventLog.unit = full
study, collection, out, address = sys.argv[1:]
try:
    run.run_study(Path(study), Path(collection), Path(out), Runtime(address=address), Console())
except UserError as problem:
    print(problem)
    sys.exit(2)
"""


@pytest.mark.ray
@pytest.mark.long
def test_an_error_of_the_driver_ends_the_run_in_words(
    cluster: SmallCluster, many: Path, tmp_path: Path
) -> None:
    """Ray must not be left while the helpers' thread asks it: that ended in a crash."""
    study = write_study(tmp_path, MIXED, "seconds_per_slice: 0.4\n")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(study), str(many), str(tmp_path / "run"),
         cluster.address],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert (done.returncode, "the disk is full" in done.stdout) == (2, True), done.stderr


@pytest.mark.ray
@pytest.mark.long
def test_a_machine_that_helps_is_lost_and_another_joins(
    cluster: SmallCluster, many: Path, undisturbed: Path, tmp_path: Path
) -> None:
    study, run = write_study(tmp_path, MIXED, "seconds_per_slice: 3\n"), tmp_path / "run"
    with evaluating(study, many, run, cluster.address) as process:
        wait_for_helpers(run, process)
        cluster.replace_helpers()
    assert (run / "run.log").read_text().count("has room for 2 helpers") == 2
    assert tables(run) == tables(undisturbed)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "options"), [(ONLY_FAKE, ()), (MIXED, ("--device", "cuda"))], ids=["one kind", "asked"]
)
def test_no_cpu_helps_where_one_kind_is_wanted(
    cluster: SmallCluster, many: Path, tmp_path: Path, text: str, options: tuple[str, ...]
) -> None:
    study, run = write_study(tmp_path, text), tmp_path / "run"
    with evaluating(study, many, run, cluster.address, *options):
        pass
    assert not helped(run)
    assert "helpers" not in (run / "run.log").read_text()


def helper_at(tmp_path: Path, collection: Path, fake: str) -> tuple[Helper, Planning]:
    # boxes first: what fails is not the last that is looked at
    text = MIXED.replace("[everything, point_1, box]", "[box, everything, point_1]")
    study = read_study(write_study(tmp_path, text, fake))
    planning = plan_study(study, collection, numerics_of("cpu"))
    plan = planning.plan
    run = RunDir.prepare(tmp_path / "run", collection)
    run.begin(plan.study)
    return Helper(
        Assignment(plan.study, "cpu", str(run.place), plan.cards, plan.numerics, attempts=1)
    ), planning


@pytest.mark.parametrize(
    "fake",
    ["fail_on_width: 64\n", "fail_on_x: 6\n"],
    ids=["every trial of it", "boxes of one object"],
)
def test_a_helper_commits_nothing_of_a_unit_that_fails(
    collection: Path, tmp_path: Path, fake: str
) -> None:
    """Or its cells would be of two kinds of machines."""
    helper, planning = helper_at(tmp_path, collection, fake)
    task = planning.plan.units[0]
    receipt, whole = helper.evaluate(str(collection), task.pack())
    assert receipt["helper"] is True
    assert receipt["failed"] > 0
    assert not whole
    assert not list(PartStore(tmp_path / "run").manifests())


def test_after_a_failure_a_helper_goes_on(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper, planning = helper_at(tmp_path, collection, "")
    first, second = planning.plan.units[0], planning.plan.units[1]
    with monkeypatch.context() as broken:
        broken.setattr(helper._evaluator, "evaluate", lambda task, pixels: 1 / 0)
        assert not helper.evaluate(str(collection), first.pack())[1]
    assert helper.evaluate(str(collection), second.pack())[1]
    units = {one.cell.unit_id for one in PartStore(tmp_path / "run").manifests()}
    assert units == {second.unit_id}


def test_a_helper_says_before_its_first_unit_that_it_can_do_none(
    collection: Path, tmp_path: Path
) -> None:
    helper, planning = helper_at(tmp_path, collection, "")
    assert helper.ready() is None
    plan = planning.plan
    card = next(iter(plan.cards.values()))
    cards = {"fake": replace(card, weights_sha256="0" * 64)}
    other = Assignment(plan.study, "cpu", str(tmp_path / "run"), cards, plan.numerics)
    assert "weights of 'fake'" in str(Helper(other).ready())


def test_a_helper_commits_what_it_can_and_marks_nothing(collection: Path, tmp_path: Path) -> None:
    helper, planning = helper_at(tmp_path, collection, "")
    task = planning.plan.units[0]
    store = store_of(tmp_path / "run")
    mark = Attempt(task.unit_id, worker="the stream's:1")
    begin(store, mark)
    receipt, whole = helper.evaluate(str(collection), task.pack())
    assert whole
    assert receipt["lost"] == []  # the stream's evaluator is at it too, and lives
    assert at_work(store) == [mark]
    assert len(list(PartStore(tmp_path / "run").manifests())) == len(task.cells)


def test_the_stream_skips_what_a_helper_finished(collection: Path, tmp_path: Path) -> None:
    planning = plan_study(read_study(write_study(tmp_path, MIXED)), collection, numerics_of("cpu"))
    plan = planning.plan
    RunDir.prepare(tmp_path / "run", collection).begin(plan.study)
    first, second = plan.units[0], plan.units[1]
    actor = EvaluatorActor(
        Assignment(
            plan.study, "cpu", str(tmp_path / "run"), plan.cards, plan.numerics,
            begins=lambda unit_id: unit_id != first.unit_id,
        )
    )  # fmt: skip
    receipts = [actor(read_unit(str(collection), one.pack())) for one in (first, second)]
    assert [len(one) for one in receipts] == [0, 1]
    units = {one.cell.unit_id for one in PartStore(tmp_path / "run").manifests()}
    assert units == {second.unit_id}


@given(
    n=st.integers(0, 12),
    acts=st.lists(st.tuples(st.sampled_from(["begin", "end", "take", "finish"]), st.integers(0))),
)
def test_shares_lose_no_unit_and_count_none_twice(n: int, acts: list[tuple[str, int]]) -> None:
    """Whatever the order, and with helpers that never come to an end."""
    shares = Shares([f"u{i}" for i in range(n)])
    counted: list[int] = []
    at_it: dict[str, list[int]] = {"stream": [], "helpers": []}
    taken: list[int] = []
    front = 0

    def end(side: str, which: int) -> None:
        place = at_it[side].pop(which % len(at_it[side]))
        shares.finish(f"u{place}")
        if place not in counted:  # as the stream drops a second receipt
            counted.append(place)

    for act, which in acts:
        if act == "begin" and front < n:
            if shares.begin(f"u{front}"):
                at_it["stream"].append(front)
            else:
                assert front in counted
            front += 1
        elif act == "take":
            place = shares.take()
            if place is None:
                assert set(range(n)) <= {*counted, *taken}
            else:
                untaken = set(range(front, n)) - set(taken)
                assert place == max(untaken) if untaken else place in at_it["stream"]
                assert place not in (*taken, *counted)
                taken.append(place)
                at_it["helpers"].append(place)
        elif act == "end" and at_it["stream"]:
            end("stream", which)
        elif act == "finish" and at_it["helpers"]:
            end("helpers", which)
    for place in range(front, n):
        if shares.begin(f"u{place}"):
            at_it["stream"].append(place)
    while at_it["stream"]:
        end("stream", 0)
    assert sorted(counted) == list(range(n))


def test_a_unit_that_is_begun_again_is_still_the_streams() -> None:
    shares = Shares(["a", "b", "c"])
    assert shares.begin("a")
    assert shares.begin("a")  # its evaluator died
    assert [shares.take(), shares.take()] == [2, 1]
    assert shares.take() == 0  # in case the stream never comes to its end
    assert shares.take() is None
    assert shares.begin("b")
    shares.finish("b")
    assert not shares.begin("b")


def test_room_is_what_fits() -> None:
    assert room(None, 8, 0) == 8
    one = Projection(400, 50, 30, 20, reserved=50)
    assert one.total == 500
    assert room(one, 8, 3000) == 5  # 95 % of it
    assert room(one, 4, 3000) == 4
    assert room(one, 4, 500) == 0
