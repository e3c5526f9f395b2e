"""The training directory: foreign and damaged states, a full disk, two writers, leftovers."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from training.small import CPU, config, quiet, timeless, trained
from worlds import toy_collection

from engine.errors import UserError
from engine.files import exclusive_lock
from engine.training.folder import alone, sweep
from engine.training.log import TrainingLog, read_log
from engine.training.loop import train


def test_a_state_of_another_training_is_refused(tmp_path: Path, collection: Path) -> None:
    out = tmp_path / "out"
    trained(config(tmp_path), collection, out)
    before = timeless(out)
    other = toy_collection(tmp_path / "other.zarr", cases=4, slices=2)
    for how, data in ((config(tmp_path, seed=1), collection), (config(tmp_path), other)):
        with pytest.raises(UserError, match="holds another training") as caught:
            train(how, data, out, CPU, quiet)
        assert "choose another --out" in str(caught.value)
    assert timeless(out) == before


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_state_is_refused(tmp_path: Path, collection: Path, damage: str) -> None:
    """One flipped bit in a weight too, which torch would load."""
    out = tmp_path / "out"
    trained(config(tmp_path, steps=2), collection, out)
    state = out / "state.pt"
    data = bytearray(state.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    new = {"flip": data, "cut": data[: len(data) // 2], "empty": b"", "other": b"{}" * 40}
    state.write_bytes(new[damage])
    with pytest.raises(UserError, match="state of the training is damaged") as caught:
        train(config(tmp_path, steps=2), collection, out, CPU, quiet)
    assert str(state) in str(caught.value)


@pytest.mark.parametrize("which", ["state.pt", "small.safetensors", "log.jsonl"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """The disk is full at the second writing of a file; later the training goes on as if not."""
    how = config(tmp_path, steps=4, optimiser={"lr": 1e-3, "warmup_steps": 0})
    calm, out = tmp_path / "calm", tmp_path / "out"
    expected = trained(how, collection, calm)
    scores = iter([0.1, 0.2, 0.1, 0.2, 0.3])  # every validation is the best so far
    monkeypatch.setattr("engine.training.validation.Validation.score", lambda *_: next(scores))
    real, seen = Path.replace, []

    def full(self: Path, target: Path) -> Path:
        seen.append(Path(target).name)
        if Path(target).name == which and seen.count(which) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        if which == "log.jsonl":
            patch.setattr("engine.training.log.TrainingLog.add", _full_add(3))
        with pytest.raises(UserError, match="cannot write the training directory") as caught:
            train(how, collection, out, CPU, quiet)
    assert "No space left" in str(caught.value)
    assert str(out / which) in str(caught.value)
    whole = {p.name for p in out.iterdir()}
    assert not any(name.endswith(".tmp") for name in whole)
    assert whole >= {"log.jsonl", "small.safetensors", "state.pt"}
    assert trained(how, collection, out) == expected


def _full_add(fatal: int) -> object:
    real = TrainingLog.add
    calls = [0]

    def add(self: TrainingLog, record: dict[str, object]) -> None:
        calls[0] += 1
        if calls[0] > fatal:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Path, "open", _no_space)
                real(self, record)
        real(self, record)

    return add


def _no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_is_cut_back_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    assert read_log(log.path) == []
    for step in range(1, 6):
        log.add({"step": step, "loss": 1.0 / step})
    log.add({"step": 4, "validation": {}})
    with log.path.open("a") as stream:
        stream.write('{"step": 6, "lo')
    assert [r["step"] for r in read_log(log.path)] == [1, 2, 3, 4, 5, 4]
    log.cut(4)
    assert [r["step"] for r in read_log(log.path)] == [1, 2, 3, 4, 4]


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with alone(tmp_path):
            inside.set()
            leave.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with pytest.raises(UserError, match="still writes to this folder"), alone(tmp_path, 0.1):
        pass
    leave.set()
    with alone(tmp_path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_leftovers_go_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / ".ray-ab" / "train").mkdir(parents=True)
    (tmp_path / "embeddings" / "train").mkdir(parents=True)
    left_behind = ".0123456789abcdef.tmp"
    mine = ("state.pt", "log.jsonl", ".mine.tmp")
    for name in (left_behind, f"embeddings/train/{left_behind}", *mine):
        (tmp_path / name).write_text("x")
    sweep(tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(mine)
    assert not (tmp_path / ".ray-ab").exists()


def test_a_lock_that_is_free_is_ours(tmp_path: Path) -> None:
    with alone(tmp_path), exclusive_lock(tmp_path / "worker.lock") as holder:
        assert holder is not None
    with exclusive_lock(tmp_path / "worker.lock") as holder:
        assert holder is None
