"""Fixtures every room's tests share, and who runs which file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from hypothesis import settings
from object_store import serve_s3

# Ray's workers step back behind all other processes: beside busy tests they would hardly begin.
os.environ.setdefault("RAY_worker_niceness", "0")
# It ends workers that are idle for a second: each is seconds of imports, and is wanted again.
os.environ.setdefault("RAY_num_workers_soft_limit", "6")
# Who runs tests tells nobody: one process less in every cluster.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from engine.results.query import has_database, run_sql
from engine.results.schema import database_version

# No test judges time: on a busy machine the first example waits for a compiler or a disk.
settings.register_profile("samscope", deadline=None)
settings.load_profile("samscope")

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
TOGETHER = frozenset(path for path in TESTS.rglob("test_*.py") if "ray_session" in path.read_text())
"""Files whose tests share one Ray; they run one after another, before all others."""
FIRST = ("pipeline/test_chaos.py", "dashboard/test_dashboard_browser.py")
"""What takes long too: begun last, it would keep one process busy while the others have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = dict.fromkeys(TOGETHER, -1) | {TESTS / name: at for at, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The Ray of `TOGETHER` ends with their last test: an idle one reads its own logs and watches
    its machine all the time."""
    if item.path in TOGETHER and (nextitem is None or nextitem.path not in TOGETHER):
        import ray

        ray.shutdown()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file to a process, and all files that use `ray_session` to one: it starts one Ray."""
    from xdist.scheduler import LoadFileScheduling

    together = {path.relative_to(ROOT).as_posix() for path in TOGETHER}

    class OneRay(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "ray" if file in together else file

    return OneRay(config, log)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[str]:
    """The address of a local Ray with two CPUs, whatever the machine has.

    Its workers find sources that tests define, and buckets made while this object store is the
    environment's.
    """
    import ray

    homes = (ROOT, TESTS, TESTS / "collection")
    with serve_s3():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(map(str, homes)))
            patch.setenv("RAY_metrics_report_interval_ms", "1000")
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real medical images; the test skips where it is absent."""
    path = Path(os.environ.get("SAMSCOPE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real images are absent: {path} (set SAMSCOPE_SHARED_DATA)")
    return path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `samscope demo`: the one that `make demo` left, if it is of today, or one made
    now, which takes two to four minutes."""
    left = ROOT / "demo" / "run"
    if has_database(left):
        (row,) = run_sql(left, "SELECT database_version FROM runs").to_pylist()
        if row["database_version"] == database_version():
            return left
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run(
        [sys.executable, "-m", "engine", "demo", "--out", str(folder)], cwd=ROOT, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")  # while it is open, its event loop keeps others from running
def browser() -> Iterator[Any]:
    """A headless Chromium; the test skips where there is none."""
    with chromium() as opened:
        yield opened
