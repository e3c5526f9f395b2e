"""Workers that hang, grow or have done enough, and the signs of life of those that work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import engine.pipeline.age
from engine.pipeline.age import Age, resident_bytes
from engine.pipeline.watchdog import Watchdog

HANGS = {
    "asleep": "time.sleep(60)",
    "in C, holding the interpreter": "re.match('(a+)+b', 'a' * 60)",
}
WORKER = """\
import re, sys, time
from pathlib import Path
from engine.pipeline.watchdog import Watchdog

def stuck():
    {hang}

dog = Watchdog(1.0, Path(sys.argv[1]))
for _ in range(12):  # longer than its patience, but alive
    dog.beat()
    time.sleep(0.15)
dog.rest()
time.sleep(1.5)  # nothing is expected
print("alive", flush=True)
dog.beat()
stuck()
"""


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS.keys())
def test_a_worker_without_a_sign_of_life_ends_and_tells_where(hang: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER.format(hang=hang), str(tmp_path / "logs")],
        capture_output=True, text=True, timeout=50, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "alive\n", done.stderr
    assert done.returncode != 0
    (told,) = (tmp_path / "logs").iterdir()
    assert "in stuck" in told.read_text()


def test_a_worker_that_rests_leaves_no_file(tmp_path: Path) -> None:
    dog = Watchdog(100.0, tmp_path / "logs")
    dog.rest()
    dog.beat()
    dog.beat()
    dog.rest()
    assert not list(tmp_path.rglob("*.txt"))


def test_a_worker_is_old_after_its_units() -> None:
    age = Age(2)
    for expected in (None, None, "2 units done"):
        assert age.over() == expected
        age.add_unit()
    assert Age(None, units=10**6).over() is None


def test_a_worker_that_has_grown_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [2**30]
    monkeypatch.setattr(engine.pipeline.age, "resident_bytes", lambda: now[0])
    age = Age()
    now[0] = 2**33
    assert age.over() is None, "models may be loaded late: growth counts from the first unit"
    now[0] = 2**30
    age.add_unit()
    now[0] = 3 * 2**30
    assert age.over() is None
    now[0] = 3 * 2**30 + 2**20
    assert age.over() == "grown from 1024 to 3073 MiB"
    big = Age(first_bytes=4 * 2**30)
    now[0] = 8 * 2**30
    assert big.over() is None, "by less than it held"
    monkeypatch.setattr(engine.pipeline.age, "resident_bytes", lambda: None)
    assert age.over() is None


def test_memory_of_this_process_is_known() -> None:
    assert 10**7 < (resident_bytes() or 0) < 10**12
