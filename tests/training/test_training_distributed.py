"""Real Ray Train around the loop: the same numbers, whoever computes them, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from training.small import config, fields, quiet, same, timeless, trained, weights

from engine.cli import run
from engine.errors import UserError
from engine.training.distributed import Workers, local_workers, train_on_workers
from engine.training.loop import Event

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


def our_workers() -> Iterator[int]:
    """Processes of Ray Train that this process's Ray has started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_bytes()
            ours = os.getpid() in _ancestors(int(path.name))
        except OSError:
            continue
        if title.startswith(b"ray::") and b"TrainWorker" in title and ours:
            yield int(path.name)


def _ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


@pytest.mark.timeout(600)
def test_one_worker_is_the_plain_loop(
    tmp_path: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command line, to the bit; what a killed driver left is gone."""
    how = config(tmp_path, "finetune")
    expected = trained(how, collection, tmp_path / "plain")
    path, out = tmp_path / "training.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(fields(tmp_path, "finetune")))
    (out / ".ray-left").mkdir(parents=True)
    command = ["train", str(path), "-c", str(collection), "--out", str(out), "--threads", "1"]
    assert run([*command, "--device", "cpu"]) == 0
    assert timeless(out) == expected
    assert same(weights(out), weights(tmp_path / "plain"))
    said = capsys.readouterr().out
    assert "Dice oracle" in said
    assert str(out / "small.safetensors") in said
    assert {p.name for p in out.iterdir()} == {
        "curves.html", "driver.lock", "embeddings", "log.jsonl", "small.safetensors", "state.pt",
        "worker.lock",
    }  # fmt: skip


@pytest.mark.timeout(600)
def test_two_workers_of_which_one_is_killed(tmp_path: Path, collection: Path) -> None:
    """gloo sums to rounding; the group begins again at the saved state."""
    how = config(tmp_path, steps=6, optimiser={"lr": 1e-3, "warmup_steps": 2})
    expected = trained(how, collection, tmp_path / "plain")
    killed: list[int] = []

    def told(event: Event) -> None:
        if event.done == 3 and not killed:
            killed.append(max(our_workers()))
            os.kill(killed[0], signal.SIGKILL)

    train_on_workers(how, collection, _made(tmp_path / "out"), Workers(2), told)
    assert killed
    found = timeless(tmp_path / "out")
    assert [r["step"] for r in found] == [r["step"] for r in expected]
    for one, other in zip(_losses(found), _losses(expected), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def _losses(records: list[dict[str, Any]]) -> list[float]:
    return [record["loss"] for record in records if "loss" in record]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_workers_mistake_comes_out_once(tmp_path: Path, collection: Path) -> None:
    """One of two workers finds it: the other does not wait for ever, and it is not tried again."""
    out = _made(tmp_path / "out")
    (out / "small.safetensors").mkdir()  # only the first worker writes
    with pytest.raises(UserError, match="cannot write the training directory") as caught:
        train_on_workers(config(tmp_path), collection, out, Workers(2), quiet)
    assert "small.safetensors" in str(caught.value)
    assert not list(out.glob(".ray-*"))


def test_workers_that_do_not_fit_are_refused() -> None:
    assert local_workers(2, "cpu", None, 1).threads == 1
    assert local_workers(1, "cpu", 2, 1).threads == 2
    with pytest.raises(UserError, match="too small"):
        local_workers(2, "cpu", 2, 1)
    with pytest.raises(UserError, match="too small"):
        local_workers(1, "cuda", 1, 1)
