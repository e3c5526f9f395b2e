"""The one loop: it learns, it can be stopped anywhere, and it leaves the best weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training.small import CPU, config, quiet, same, timeless, trained, weights

from engine.errors import SamscopeError, UserError
from engine.models.decoding import low_res_logits
from engine.training.config import Optimiser, TrainingConfig
from engine.training.loop import Event, Listener, Team, _Training, learning_rate, train
from engine.training.losses import prompt_losses
from engine.training.network import Trainee
from engine.training.samples import population_of
from engine.training.validation import Validation, evenly


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


def stop_after(steps: int) -> Listener:
    def told(event: Event) -> None:
        if event.doing == "training" and event.done == steps:
            raise StoppedError

    return told


def state_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(out / "state.pt", weights_only=True)
    return found


def begun_with(how: TrainingConfig) -> dict[str, torch.Tensor]:
    return dict(Trainee(how, CPU.device).started_from.state)


def test_the_loss_falls(tmp_path: Path, collection: Path) -> None:
    how = config(
        tmp_path, steps=30, validate_every=15, images=2, variation={},
        prompts={"strategies": {"box": 1}, "jittered": 0, "per_image": 1},
        optimiser={"lr": 5e-3, "warmup_steps": 5},
    )  # fmt: skip
    records = trained(how, collection, tmp_path / "out")
    losses = [r["loss"] for r in records if "loss" in r]
    assert [r["step"] for r in records if "loss" in r] == list(range(1, 31))
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    dice = [r["validation"]["box"] for r in records if "validation" in r]
    assert [sorted(by) for by in dice] == [["oracle", "predicted_iou", "single"]] * 2
    assert all(0 <= by["predicted_iou"] <= by["oracle"] <= 1 for by in dice)


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_and_resumed_is_undisturbed(
    tmp_path: Path, collection: Path, kind: str, stop: int
) -> None:
    """Stopped before the first state and between two; the log is cut back to the state."""
    how = config(tmp_path, kind, data={"validation": 0.25, "test": 0.25})
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    expected = trained(how, collection, calm)
    with pytest.raises(StoppedError):
        train(how, collection, rough, CPU, stop_after(stop))
    assert len(timeless(rough)) >= stop
    assert trained(how, collection, rough) == expected
    assert same(weights(rough), weights(calm))
    mine, theirs = state_of(rough), state_of(calm)
    assert same(mine["network"], theirs["network"])
    assert len(theirs["optimiser"]) == len(mine["optimiser"]) == (2 if kind == "pretrain" else 1)
    for one, other in zip(mine["optimiser"], theirs["optimiser"], strict=True):
        for key, moments in other["state"].items():
            assert all(torch.equal(v, one["state"][key][n]) for n, v in moments.items())


def test_a_finished_training_is_left_alone(tmp_path: Path, collection: Path) -> None:
    how = config(tmp_path)
    out = tmp_path / "out"
    records = trained(how, collection, out)
    before = (out / "small.safetensors").stat().st_mtime_ns
    told: list[Event] = []
    assert train(how, collection, out, CPU, told.append).step == 4
    assert told == []
    assert timeless(out) == records
    assert (out / "small.safetensors").stat().st_mtime_ns == before


def test_finetuning_changes_the_decoder_alone(tmp_path: Path, collection: Path) -> None:
    how = config(tmp_path, "finetune")
    trained(how, collection, tmp_path / "out")
    first, last = begun_with(how), weights(tmp_path / "out")
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)
    assert {name.split(".")[1] for name in changed} >= {"transformer", "iou_prediction_head"}


def test_single_leaves_what_cannot_learn_to_the_bit(tmp_path: Path, collection: Path) -> None:
    how = config(tmp_path, "finetune", loss={"kind": "dice_ce", "tokens": "single"})
    trained(how, collection, tmp_path / "out")
    first, last = begun_with(how), weights(tmp_path / "out")
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert any(name.startswith("mask_decoder.output_hypernetworks_mlps.0") for name in changed)
    deaf = [f"mask_decoder.output_hypernetworks_mlps.{k}." for k in (1, 2, 3)]
    assert not any(n.startswith((*deaf, "mask_decoder.iou_prediction_head")) for n in changed)


def test_the_best_checkpoint_is_kept(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three validations is the best; its weights stay."""
    scores = iter([0.2, 0.6, 0.4])
    monkeypatch.setattr(
        "engine.training.loop.validate",
        lambda *_: Validation({"box": dict.fromkeys(("oracle", "single"), next(scores))}, 1),
    )
    seen: list[dict[str, torch.Tensor]] = []

    def told(event: Event) -> None:
        if event.validation is not None:
            seen.append(weights(tmp_path / "out"))

    progress = train(config(tmp_path, steps=6), collection, tmp_path / "out", CPU, told)
    assert (progress.best, progress.best_step) == (0.6, 4)
    assert not same(seen[0], seen[1])
    assert same(seen[1], seen[2])


@pytest.mark.parametrize("images", [1, 3])
def test_a_step_of_many_images_is_their_mean(tmp_path: Path, collection: Path, images: int) -> None:
    """Gradients are added up image by image: the loss of a step is the mean over its prompts."""
    how = config(tmp_path, "finetune", steps=1, images=images)
    found = trained(how, collection, tmp_path / "out")[0]["loss"]
    training = _Training(
        how, collection, population_of(how, collection), tmp_path / "x", CPU, quiet
    )
    training._encode()
    works = training._prepare(0)
    per_image = []
    for work in works:
        each = []
        for one in work.passes:
            assert training.kept is not None
            features = training.kept[work.number][None]
            logits, iou = low_res_logits(training.trainee.network, features, one.prompts)
            each += list(prompt_losses(logits, iou, one.target, how.loss))
        per_image.append(torch.stack(each).mean())
    loss = torch.stack(per_image).mean()
    assert found == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    whole = [p.grad.clone() for p in training.trainee.parameters if p.grad is not None]
    training.optimiser.zero_grad()
    training._gradients(works)
    parts = [p.grad for p in training.trainee.parameters if p.grad is not None]
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_workers_shares_are_one_workers_step(tmp_path: Path, collection: Path) -> None:
    """Two ranks played in turn: their gradients sum to those of one."""
    how = config(tmp_path, steps=1, images=3)
    people = population_of(how, collection)

    def gradients(rank: int, world: int) -> tuple[float, list[torch.Tensor]]:
        team = Team(CPU.device, rank, world)
        training = _Training(how, collection, people, tmp_path / "out", team, quiet)
        loss = training._gradients(training._prepare(0))
        return float(loss), [
            torch.zeros_like(p) if p.grad is None else p.grad for p in training.trainee.parameters
        ]

    (alone, whole), (first, one), (second, other) = (
        gradients(0, 1), gradients(0, 2), gradients(1, 2),
    )  # fmt: skip
    assert first + second == pytest.approx(alone, rel=1e-5)
    for total, a, b in zip(whole, one, other, strict=True):
        torch.testing.assert_close(a + b, total, rtol=1e-3, atol=1e-5)


def test_a_diverged_training_is_refused(tmp_path: Path, collection: Path) -> None:
    def poison(tensors: list[torch.Tensor]) -> None:
        if len(tensors) > 1:
            tensors[0].fill_(float("nan"))

    with pytest.raises(SamscopeError, match="diverged") as caught:
        train(config(tmp_path), collection, tmp_path / "out", Team(CPU.device, total=poison), quiet)
    assert "step 1" in str(caught.value)


def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model, words in (("medsam", "kind 'medsam'"), ("fake", "kind 'fake'")):
        how = config(tmp_path, "finetune", model=model)
        with pytest.raises(UserError, match="cannot be trained here") as caught:
            train(how, collection, tmp_path / "out", CPU, quiet)
        assert words in str(caught.value)
    trained(config(tmp_path, steps=1), collection, tmp_path / "a")
    shipped = {"name": "m", "model": _shipped(tmp_path)}
    monkeypatch.setattr("engine.models.kind.TRAINED", tmp_path / "a")
    with pytest.raises(UserError, match="kindled would overwrite"):
        Trainee(config(tmp_path, model=shipped), CPU.device)
    Trainee(config(tmp_path, model=shipped, kindled=False), CPU.device)


def _shipped(folder: Path) -> str:
    text = (folder / "miniature.yaml").read_text() + "weights: small.safetensors\n"
    (folder / "shipped.yaml").write_text(text)
    return str(folder / "shipped.yaml")


def test_finetuning_begins_with_a_pretrained_checkpoint(tmp_path: Path, collection: Path) -> None:
    """Whatever the file is called: its weights count."""
    trained(config(tmp_path), collection, tmp_path / "first")
    base = {"name": "mini", "model": str(tmp_path / "miniature.yaml")}
    read = tmp_path / "first" / "small.safetensors"
    how = config(tmp_path, "finetune", model={**base, "checkpoint": str(read)}, steps=4)
    out = tmp_path / "second"
    with pytest.raises(StoppedError):
        train(how, collection, out, CPU, stop_after(3))
    moved = read.rename(tmp_path / "moved.safetensors")
    how = config(tmp_path, "finetune", model={**base, "checkpoint": str(moved)}, steps=4)
    assert train(how, collection, out, CPU, quiet).step == 4
    first, last = load_file(moved), weights(out)
    frozen = [name for name in first if not name.startswith("mask_decoder.")]
    assert all(torch.equal(first[name].float(), last[name]) for name in frozen)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.25), (3, 1.0), (4, 1.0), (14, 0.55), (24, 0.1)]
)
def test_learning_rate(step: int, expected: float) -> None:
    how = Optimiser(lr=1.0, final_lr=0.1, warmup_steps=4)
    assert learning_rate(how, step, 24) == pytest.approx(expected)
    assert learning_rate(Optimiser(lr=0.3, final_lr=0.3), step, 24) == pytest.approx(0.3)


def test_validation_slices_are_spread() -> None:
    assert evenly(tuple(range(10)), 3) == (1, 5, 8)
    assert evenly(tuple(range(3)), 5) == (0, 1, 2)
    assert evenly(tuple(range(3)), None) == (0, 1, 2)
