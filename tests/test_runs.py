"""A run directory: what it refuses, what it remembers, and that only one driver is in it."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toys import study
from worlds import write_study

from engine.errors import UserError
from engine.files import exclusive_lock, replace_file
from engine.pipeline.run import Outcome
from engine.planning.ground import read_study
from engine.runs import RunDir, driver_at_work, driver_lock, log_to_file

ROOT = Path(__file__).resolve().parent.parent
HOLD = """\
import sys, time
from pathlib import Path
from engine.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1])) as holder:
    print(holder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that has begun."""
    made = RunDir.prepare(tmp_path / "run", tmp_path / "toy.zarr")
    made.begin(study())
    return made


def test_a_run_is_found_again_as_it_began(run: RunDir, tmp_path: Path) -> None:
    assert run.collection == (tmp_path / "toy.zarr").resolve()
    assert run.wall_s == 0.0
    assert RunDir.open(run.path) == run
    assert RunDir.prepare(run.path, tmp_path / "toy.zarr") == run


def test_preparing_writes_nothing(tmp_path: Path) -> None:
    made = RunDir.prepare(tmp_path / "new" / "run", tmp_path / "toy.zarr")
    assert list(made.path.iterdir()) == []


def test_a_run_keeps_its_study_to_the_letter(tmp_path: Path) -> None:
    asked = read_study(write_study(tmp_path))
    made = RunDir.prepare(tmp_path / "run", tmp_path / "toy.zarr")
    made.begin(asked)
    assert made.study() == asked
    made.begin(study(seed=5))
    assert made.study() == study(seed=5), "the study as it was run last"


def test_paths_are_relative_to_the_folder_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = RunDir.prepare(Path("run"), Path("toy.zarr"))
    made.begin(study())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert RunDir.open(tmp_path / "run").collection == (tmp_path / "toy.zarr").resolve()
    assert RunDir.prepare(tmp_path / "run", tmp_path / "toy.zarr").created == made.created


def test_another_collection_is_refused(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another collection") as caught:
        RunDir.prepare(run.path, tmp_path / "other.zarr")
    assert "toy.zarr" in str(caught.value.expected)
    assert "other.zarr" in str(caught.value.got)
    assert RunDir.open(run.path) == run, "nothing was changed"


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="something else") as caught:
        RunDir.prepare(tmp_path, tmp_path / "toy.zarr")
    assert "thesis.tex" in str(caught.value.got)


def test_what_a_refused_run_left_is_no_obstacle(tmp_path: Path) -> None:
    for name in ("driver.lock", "run.log"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch()
    RunDir.prepare(tmp_path / "run", tmp_path / "toy.zarr")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="cannot make the run directory"):
        RunDir.prepare(tmp_path / "run", tmp_path / "toy.zarr")


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"collection": 1, "created": "", "wall_s": 0}',
     b'{"collection": "c", "created": "now", "wall_s": null}'],
)  # fmt: skip
def test_what_is_no_run_directory_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match="not a run directory"):
        RunDir.open(tmp_path)
    if content is not None:
        with pytest.raises(UserError, match="not a run directory"):
            RunDir.prepare(tmp_path, tmp_path / "toy.zarr")


def test_wall_time_adds_up_over_resumptions(run: RunDir) -> None:
    later = run.worked(1.5).worked(2.0)
    assert later.wall_s == 3.5
    assert RunDir.open(run.path).wall_s == 3.5
    assert RunDir.open(run.path).worked(0.5).wall_s == 4.0
    assert json.loads((run.path / "run.json").read_text())["created"] == run.created
    assert run.wall_s == 0.0, "a run directory is a value"


def test_one_driver_at_a_time(run: RunDir) -> None:
    with driver_lock(run.path):
        with pytest.raises(UserError, match="another driver") as caught, driver_lock(run.path):
            pytest.fail("two drivers in one run directory")
        assert f"process {os.getpid()}" in str(caught.value.got)
    with driver_lock(run.path):
        pass


def test_to_ask_for_the_driver_does_not_keep_it_out(run: RunDir) -> None:
    assert not driver_at_work(run.path), "no lock was ever taken"
    for _ in range(2):
        with driver_lock(run.path):
            assert driver_at_work(run.path)
        assert not driver_at_work(run.path)


def test_a_driver_that_failed_gives_the_run_back(run: RunDir) -> None:
    with pytest.raises(KeyError), driver_lock(run.path):
        raise KeyError
    with driver_lock(run.path):
        pass


@pytest.mark.parametrize(
    ("failed", "pending", "without_factors", "code"),
    [(0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (3, 2, 1, 1)],
)
def test_the_exit_code_says_whether_anything_is_missing(
    failed: int, pending: int, without_factors: int, code: int
) -> None:
    outcome = Outcome(
        Path("run"), units_run=2, units_total=2, expected=9, done=9 - failed - pending,
        failed=failed, pending=pending, without_factors=without_factors,
    )  # fmt: skip
    assert outcome.exit_code == code


def test_the_log_of_a_run_ends_with_it(run: RunDir) -> None:
    handlers = list(logging.getLogger().handlers)
    log = logging.getLogger("engine.test")
    with log_to_file(run.path):
        log.warning("within")
    log.warning("after")
    assert logging.getLogger().handlers == handlers
    written = (run.path / "run.log").read_text()
    assert "within" in written
    assert "after" not in written


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old and long")
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[broken], full)
    with pytest.raises(OSError, match="no space"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_lock_names_its_holder_and_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("99999999999999999 of long ago\n")
    with exclusive_lock(path) as ours:
        assert ours is None
        with exclusive_lock(path) as holder:
            assert holder == str(os.getpid())
        with exclusive_lock(path) as holder:
            assert holder == str(os.getpid()), "a refused caller must not free the lock"
    with exclusive_lock(path) as ours:
        assert ours is None


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "None\n"
        with exclusive_lock(path) as holder:
            assert holder == str(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with exclusive_lock(path) as ours:
        assert ours is None
