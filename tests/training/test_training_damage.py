"""What was found by breaking a training on purpose: each of these once trained on, or fell over."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from training.small import CPU, config, fields, population, quiet, trained, weights
from worlds import INFO, volume

from engine.cli import run
from engine.collection.ingest import ingest_cases
from engine.errors import SamscopeError, UserError
from engine.files import exclusive_lock
from engine.models.checkpoints import checkpoint_bytes, read_checkpoint
from engine.models.weights import Weights
from engine.training.loop import train
from engine.training.network import Trainee
from engine.training.record import seen_subjects, unnamed_datasets
from engine.training.samples import population_of
from engine.training.split import Split, refuse_seen


def collection_of(path: Path, subjects: list[str], modality: str = "CT", seed: int = 0) -> Path:
    cases = [
        replace(
            volume(f"case{i}", slices=2, seed=seed + i),
            subject=subject,
            modality=modality if i else "CT",
        )
        for i, subject in enumerate(subjects)
    ]
    ingest_cases(INFO, cases, path, unit_slices=2)
    return path


def edited(folder: Path, **decoder: int) -> None:
    """Change the network behind the model's YAML, in place."""
    path = folder / "miniature.yaml"
    content = yaml.safe_load(path.read_text())
    content["network"]["decoder"] |= decoder
    path.write_text(yaml.safe_dump(content))


def test_data_are_pixels_and_whose_they_are(tmp_path: Path) -> None:
    """A corrected subject moves the split, so it is other data, and other pixels are too."""
    names = ["a", "b", "c", "d"]
    how = config(tmp_path)
    digests = [
        population_of(how, path).data_sha256
        for path in (
            collection_of(tmp_path / "1.zarr", names),
            collection_of(tmp_path / "2.zarr", ["a", "a", "c", "d"]),
            collection_of(tmp_path / "3.zarr", names, seed=9),
            collection_of(tmp_path / "4.zarr", names, modality="MRI"),
        )
    ]
    assert len(set(digests)) == 4


def test_what_is_filtered_out_is_no_part_of_the_data(tmp_path: Path) -> None:
    mixed = collection_of(tmp_path / "1.zarr", ["a", "b", "c"], modality="MRI")
    alone = collection_of(tmp_path / "2.zarr", ["a"])
    how = config(tmp_path, data={"modalities": ["CT"]})
    assert population_of(how, mixed).data_sha256 == population_of(how, alone).data_sha256


def test_another_network_of_the_same_shapes_does_not_go_on(
    tmp_path: Path, collection: Path
) -> None:
    """Two heads or one: no tensor shows it."""
    trained(config(tmp_path), collection, tmp_path / "out")
    how = config(tmp_path, steps=4)
    edited(tmp_path, heads=1)
    with pytest.raises(UserError, match="holds another training"):
        train(how, collection, tmp_path / "out", CPU, quiet)


def test_another_trainings_checkpoint_is_not_replaced(tmp_path: Path, collection: Path) -> None:
    """Not the one fine-tuning begins with, nor one whose state was deleted."""
    out = tmp_path / "out"
    trained(config(tmp_path), collection, out)
    (out / "state.pt").unlink()
    path = out / "small.safetensors"
    before = path.read_bytes()
    model = {"name": "m", "model": str(tmp_path / "miniature.yaml"), "checkpoint": str(path)}
    for how in (config(tmp_path, "finetune", model=model), config(tmp_path, seed=1)):
        with pytest.raises(UserError, match="would replace") as caught:
            train(how, collection, out, CPU, quiet)
        assert str(path) in str(caught.value)
    path.write_bytes(before[:-5])
    with pytest.raises(UserError, match="would replace"):
        train(config(tmp_path), collection, out, CPU, quiet)
    path.write_bytes(before)
    trained(config(tmp_path), collection, out)  # its own
    assert path.read_bytes()[-100:] == before[-100:]


def test_a_finished_training_misses_its_checkpoint(tmp_path: Path, collection: Path) -> None:
    out = tmp_path / "out"
    trained(config(tmp_path), collection, out)
    (out / "small.safetensors").unlink()
    with pytest.raises(UserError, match="its checkpoint is gone"):
        train(config(tmp_path), collection, out, CPU, quiet)


@pytest.mark.parametrize("lr", [1e30, 1e5])
def test_no_weights_are_written_that_are_not_finite(
    tmp_path: Path, collection: Path, lr: float
) -> None:
    """The loss before a step is finite; what the step made of the weights is not."""
    how = config(
        tmp_path, validate_every=1,
        optimiser={"kind": "adamw", "lr": lr, "clip_norm": None, "warmup_steps": 0},
    )  # fmt: skip
    with pytest.raises(SamscopeError, match="diverged"):
        train(how, collection, tmp_path / "out", CPU, quiet)
    for path in (tmp_path / "out").glob("*.safetensors"):
        read_checkpoint(path)
    assert not (tmp_path / "out" / "state.pt").exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "header", "mark", "count", "crc"])
def test_damaged_embeddings_are_made_again(tmp_path: Path, collection: Path, damage: str) -> None:
    how = config(tmp_path, "finetune")
    expected = trained(how, collection, tmp_path / "calm")
    out = tmp_path / "out"
    trained(how, collection, out)
    (out / "state.pt").unlink()
    kept = out / "embeddings" / "train" / "embeddings.npy"
    data = bytearray(kept.read_bytes())
    flipped = bytearray(data)
    flipped[-7] ^= 64
    new = {"cut": data[: len(data) // 2], "flip": flipped, "empty": b"", "header": b"x" * 200}
    if damage in new:
        kept.write_bytes(new[damage])
    else:
        mark = kept.with_name("embeddings.done")
        text = mark.read_text().split()
        broken = {
            "mark": b"\xff\xfe",
            "count": f"{text[0]} 9999 {text[2]}".encode(),
            "crc": f"{text[0]} {text[1]} x".encode(),
        }
        mark.write_bytes(broken[damage])
    assert trained(how, collection, out) == expected
    assert kept.read_bytes() == data


@pytest.mark.parametrize("line", ["5", '{"a": 1}', "\udcff", '{"step": "x"}', "[]"])
def test_a_foreign_line_of_the_log_is_passed_over(
    tmp_path: Path, collection: Path, line: str
) -> None:
    out = tmp_path / "out"
    expected = trained(config(tmp_path), collection, out)
    with (out / "log.jsonl").open("ab") as stream:
        stream.write(line.encode(errors="surrogateescape") + b"\n")
    assert trained(config(tmp_path), collection, out) == expected


def test_a_lock_holds_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with exclusive_lock(tmp_path / "lock") as first, exclusive_lock(tmp_path / "lock") as two:
            assert (first, two) == (None, "unknown")


def test_a_models_own_strategies_do_not_matter(tmp_path: Path, collection: Path) -> None:
    model = {**fields(tmp_path)["model"], "strategies": ["everything"]}
    assert population_of(config(tmp_path, model=model), collection).members


@pytest.mark.parametrize(
    "prompts", [{"jitter_px": 10**30}, {"strategies": {"box": 1e308, "point_1": 1e308}}]
)
def test_prompts_out_of_all_bounds_are_refused(tmp_path: Path, prompts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"less than or equal|at most"):
        config(tmp_path, prompts=prompts)


def before(on: tuple[str, ...], subjects: tuple[str, ...]) -> Weights:
    return Weights({}, "0" * 64, on, subjects)


def test_a_checkpoint_remembers_all_subjects_its_weights_saw() -> None:
    people = population({"a": 3, "b": 3})
    split = Split(("a/s1", "b/s1"), ("a/s2", "b/s2"), ())
    assert seen_subjects(before((), ()), split, people) == ["a/s1", "b/s1"]
    known = before(("a", "c"), ("a/s0", "c/x"))
    assert seen_subjects(known, split, people) == ["a/s0", "a/s1", "b/s1", "c/x"]
    unnamed = before(("a", "c"), ("c/x",))  # which of a's subjects it saw is not known: all may be
    assert seen_subjects(unnamed, split, people) == ["b/s1", "c/x"]
    assert (unnamed_datasets(known), unnamed_datasets(unnamed)) == (set(), {"a"})


def test_subjects_seen_before_are_no_validation(tmp_path: Path, collection: Path) -> None:
    """Fine-tuning on the same dataset with another split."""
    refuse_seen(Split(("a",), ("b",), ("c",)), ["a", "d"])
    for seen in (["b"], ["c"]):
        with pytest.raises(UserError, match="have seen subjects"):
            refuse_seen(Split(("a",), ("b",), ("c",)), seen)
    trained(config(tmp_path), collection, tmp_path / "first")
    path = tmp_path / "first" / "small.safetensors"
    model = {"name": "m", "model": str(tmp_path / "miniature.yaml"), "checkpoint": str(path)}
    same_split = config(tmp_path, "finetune", model=model)
    trained(same_split, collection, tmp_path / "second")
    meta = read_checkpoint(tmp_path / "second" / "small.safetensors").meta
    assert meta["trained_subjects"] == meta["subjects"]["train"]
    half = config(tmp_path, "finetune", model=model, data={"validation": 0.5})
    with pytest.raises(UserError, match="have seen subjects"):
        train(half, collection, tmp_path / "third", CPU, quiet)


def test_info_shows_a_foreign_record_as_text(
    tmp_path: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Odd values are shown, control characters are not sent to the terminal."""
    trained(config(tmp_path), collection, tmp_path / "out")
    own = read_checkpoint(tmp_path / "out" / "small.safetensors")
    path = tmp_path / "odd.safetensors"
    state, sizes = weights(tmp_path / "out"), Trainee(config(tmp_path), CPU.device).config
    for seconds in ("abc", None, 1e300, -1, 10**30):
        odd = {"name": "a\x1b[31m\nb", "seconds": seconds, "validation": {"dice": 3}}
        path.write_bytes(checkpoint_bytes(own.architecture or "", sizes, state, odd))
        assert run(["info", str(path)]) == 0
        said = capsys.readouterr().out
        assert "\x1b" not in said
        assert "a\\x1b[31m\\x0ab" in said
