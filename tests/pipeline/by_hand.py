"""A study submitted to a head and a worker started by hand; the worker is killed halfway.

    python tests/pipeline/by_hand.py --slices 10000                                     (minutes)

`ray start` twice on loopback, with token authentication, as the README says; `ray job submit`; when
half of the cells are committed every process of the worker node is killed (SIGKILL). Every table
that a user can query must equal that of an undisturbed run without Ray. Prints a line a
step and a verdict; exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/pipeline")]

from chaos import CELLS, STUDY, problems, tables  # noqa: E402
from worlds import run_without_ray, toy_collection, write_study  # noqa: E402

from engine.pipeline.events import NAME, read_events  # noqa: E402

RAY = str(Path(sys.executable).parent / "ray")
Environment = dict[str, str]
SLICES_A_CASE = 32
SLEEP_S = 40.0
"""Of the model, all slices together: a small run, too, must last until its worker is killed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def head(folder: Path, cpus: int) -> Iterator[Environment]:
    """A head on loopback with a token of its own; yields the environment of its clients."""
    dashboard, port = free_port(), free_port()
    env = {
        **os.environ,
        "PATH": f"{Path(RAY).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    subprocess.run([RAY, "get-auth-token", "--generate"], env=env, check=True, capture_output=True)
    options = [
        "--head", f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={free_port()}", f"--temp-dir={_short_folder()}",
    ]  # fmt: skip
    with _node(env, cpus, options):
        yield {**env, "HEAD": f"127.0.0.1:{port}"}


@contextmanager
def worker(env: Environment, cpus: int) -> Iterator[Callable[[], None]]:
    """One more node; yields what kills all its processes, as a lost machine would."""

    def kill() -> None:
        for pid in _family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(60)

    with _node(env, cpus, [f"--address={env['HEAD']}"]) as process:
        yield kill


@contextmanager
def _node(env: Environment, cpus: int, options: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        RAY, "start", "--block", f"--num-cpus={cpus}", "--node-ip-address=127.0.0.1",
        f"--dashboard-agent-listen-port={free_port()}", f"--object-store-memory={128 * 2**20}",
        *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _family(pid: int) -> list[int]:
    """A process and all its descendants (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = path.read_text().split() if path.exists() else []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _short_folder() -> str:
    """Ray's sockets live below it, and their paths may have 107 bytes at most."""
    folder = Path(f"/tmp/samscope-ray-{os.getpid()}")
    folder.mkdir(exist_ok=True)
    return str(folder)


def submit(env: Environment, *entrypoint: str) -> subprocess.CompletedProcess[str]:
    """`ray job submit`, again while the head is still starting."""
    command = [RAY, "job", "submit", "--runtime-env", "jobs/runtime_env.yaml", "--", *entrypoint]
    for _ in range(20):
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
        if "No available agent" not in done.stderr and "Failed to connect" not in done.stderr:
            return done
        time.sleep(3)
    return done


def killed_halfway(folder: Path, slices: int, say: Callable[[str], None]) -> list[str]:
    """Run, kill, compare; returns in what the results differ."""
    unit = min(SLICES_A_CASE, max(2, slices // 32))
    cases = -(-slices // SLICES_A_CASE)
    place = toy_collection(folder / "toy.zarr", cases=cases, slices=SLICES_A_CASE, unit_slices=unit)
    cells = CELLS * cases * -(-SLICES_A_CASE // unit)
    calm = write_study(folder / "calm", STUDY)
    wild = write_study(folder / "wild", STUDY, fake=f"seconds_per_slice: {SLEEP_S / slices}\n")
    with head(folder, 1) as env, worker(env, 1) as kill:
        started = time.monotonic()
        arguments = ["--collection", str(place), "--out", str(folder / "wild/run")]
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(
                submit, env, "python", "jobs/evaluate.py", str(wild), *arguments, "--actors", "2"
            )
            if _wait_for(cells // 2, folder / "wild/run", job):
                say(f"worker killed at {committed(folder / 'wild/run')} of {cells} manifests")
                kill()
            done = job.result()
        say(f"job ended after {time.monotonic() - started:.0f} s")
    if done.returncode:
        return [f"the job ended with code {done.returncode}: {done.stdout}{done.stderr}"]
    run_without_ray(calm, place, folder / "calm/run")
    lost = [e for e in read_events(folder / "wild/run" / NAME) if e["event"] == "worker_lost"]
    say(f"workers lost in the middle of a unit: {[event['how'] for event in lost]}")
    say(f"{len(tables(folder / 'wild/run')['results']):,} rows")
    return problems(folder / "wild/run", folder / "calm/run")


def committed(run: Path) -> int:
    """Manifests so far."""
    return len(list((run / "parts/_manifests").glob("*.json")))


def _wait_for(manifests: int, run: Path, job: Future[subprocess.CompletedProcess[str]]) -> bool:
    """Until that many are there; False when the job ended before."""
    while committed(run) < manifests:
        if job.done():
            return False
        time.sleep(0.1)
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """One run, its kill and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--keep", type=Path, help="folder for the runs; default: a temporary one")
    said = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="by-hand") as temporary:
        folder = said.keep or Path(temporary)
        differing = killed_halfway(folder, said.slices, lambda text: print(text, flush=True))
    print("; ".join(differing) or "equal to the undisturbed run")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
