"""A disk that is really full: words, nothing lost, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import toy_collection, write_study

ROOT = Path(__file__).resolve().parents[2]
STUDY = """\
name: full
models: [{name: fake, model: FAKE}]
strategies: [point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 3}
"""
SCRIPT = """\
set -e
mount -t tmpfs -o size=60k tmpfs "$1"
shift
for size in 60k 1m 50m; do
    mount -o "remount,size=$size" "$RUN_DISK"
    set +e
    "$@"
    echo "exit code $?"
    set -e
done
cp "$RUN_DISK"/run/results.duckdb "$KEPT"
"""
"""Room for some parts; for all parts but not for the database; for everything."""


def namespace() -> list[str]:
    """What gives a command mounts of its own; skips where this user may not have them."""
    own = ["unshare", "--mount"]
    for command in (own, [*own, "--user", "--map-root-user"]):
        tried = [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if shutil.which("unshare") and subprocess.run(tried, capture_output=True).returncode == 0:
            return command
    pytest.skip("no file system can be mounted here, so no disk can be filled")


@pytest.mark.long
@pytest.mark.ray
def test_a_full_disk_ends_a_run_in_words_and_the_same_command_goes_on(tmp_path: Path) -> None:
    unshare = namespace()
    collection = toy_collection(tmp_path / "c.zarr", cases=3, slices=4)
    study, disk = write_study(tmp_path, STUDY), tmp_path / "disk"
    disk.mkdir()
    evaluate = [
        sys.executable, "-m", "engine", "evaluate", str(study), "-c", str(collection),
        "--out", str(disk / "run"), "--actors", "1",
    ]  # fmt: skip
    done = subprocess.run(
        [*unshare, "sh", "-c", SCRIPT, "fill", str(disk), *evaluate],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RUN_DISK": str(disk),
             "KEPT": str(tmp_path / "results.duckdb")},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    codes = [line.split()[-1] for line in done.stdout.splitlines() if "exit code" in line]
    assert codes == ["2", "2", "0"], said
    assert "a worker cannot write the run directory" in done.stderr
    assert "nothing more can be written" in done.stderr
    assert done.stderr.count("No space left on device") >= 2
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert "0 failed, 0 pending of" in said
    assert (tmp_path / "results.duckdb").stat().st_size > 0
