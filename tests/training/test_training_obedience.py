"""A training does what its configuration says: its subjects, its judge, its rates, its bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles import prompts as by_hand
from oracles import scores
from training.small import CPU, config, quiet, trained

import engine.training.loop as loop
from engine.models import load_model
from engine.models.checkpoints import checkpoint_bytes, read_checkpoint
from engine.prompts import Box, Point, Prompt
from engine.study import Intensity, ModelChoice, Strategy
from engine.training.batches import make_work
from engine.training.config import Optimiser, TrainingConfig
from engine.training.losses import coverage
from engine.training.network import Trainee
from engine.training.optimiser import Optimisers
from engine.training.samples import Sample, Shelf, population_of
from engine.training.validation import SELECTIONS, Validation, validate

LR = 0.01
RECTANGLES = [(3, 16, 4, 21), (20, 27, 2, 12), (30, 45, 8, 19), (5, 40, 28, 36), (8, 13, 40, 57)]
"""y0, y1, x0, x1 (half-open) of objects that do not touch."""


def rectangles(n: int, first: int = 0, height: int = 48) -> Sample:
    """An image whose grey level says where its objects are."""
    masks = np.zeros((n, height, 60), np.bool_)
    for mask, (y0, y1, x0, x1) in zip(masks, RECTANGLES[first:], strict=False):
        mask[y0:y1, x0:x1] = True
    levels = np.arange(1, n + 1)[:, None, None]
    image: NDArray[np.uint8] = (40 + 40 * (masks * levels).sum(axis=0)).astype(np.uint8)
    return Sample(image, masks, tuple(f"object{first + i}" for i in range(n)))


def state_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(out / "state.pt", weights_only=True)
    return found


# --- the split ---------------------------------------------------------------------------------


class Asked:
    """Listens to what a training asks for.

    Attributes:
        trained: slice of every image of a step.
        validated: slice of every image of a validation.
        read: slice of every image that was looked at for whatever reason.
    """

    def __init__(self, patch: pytest.MonkeyPatch, slice_of: dict[str, str]) -> None:
        self.trained: list[str] = []
        self.validated: list[str] = []
        self.read: list[str] = []
        look = Shelf.__getitem__

        def preparing(how: Any, shelf: Shelf, step: int, slot: int, number: int, size: Any) -> Any:
            self.trained.append(shelf.ref(number).slice_id)
            return make_work(how, shelf, step, slot, number, size)

        def judging(
            trainee: Trainee,
            embedded: Iterable[tuple[Sample, torch.Tensor]],
            strategies: list[Strategy],
        ) -> Validation:
            pairs = list(embedded)
            self.validated += [slice_of[sample.object_ids[0]] for sample, _ in pairs]
            return validate(trainee, pairs, strategies)

        def looking(shelf: Shelf, number: int) -> Sample:
            self.read.append(shelf.ref(number).slice_id)
            return look(shelf, number)

        patch.setattr(loop, "make_work", preparing)
        patch.setattr(loop, "validate", judging)
        patch.setattr(Shelf, "__getitem__", looking)


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_every_part_of_the_split_is_used_for_what_it_is_for(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Two epochs see all slices of the training subjects and no other; nobody sees the test's."""
    how = config(tmp_path, kind, steps=6, validate_every=6, data={"validation": 0.25, "test": 0.25})
    members = population_of(how, collection).members
    slice_of = {wanted.object_id: m.ref.slice_id for m in members for wanted in m.ref.objects}
    asked = Asked(monkeypatch, slice_of)
    trained(how, collection, tmp_path / "out")
    parts = read_checkpoint(tmp_path / "out" / "small.safetensors").meta["subjects"]
    slices = {
        part: sorted(m.ref.slice_id for m in members if m.subject_id in subjects)
        for part, subjects in parts.items()
    }
    assert {part: len(subjects) for part, subjects in parts.items()} == {
        "train": 2, "validation": 1, "test": 1,
    }  # fmt: skip
    assert sorted(chain(*slices.values())) == [m.ref.slice_id for m in members]
    assert Counter(asked.trained) == dict.fromkeys(slices["train"], 2)
    assert asked.validated == slices["validation"]
    assert sorted(set(asked.read)) == sorted(slices["train"] + slices["validation"])


# --- the judge ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "best", "step"), [("all", 0.6, 2), ("single", 0.5, 3)])
def test_the_best_checkpoint_is_judged_by_what_is_trained(
    tmp_path: Path,
    collection: Path,
    monkeypatch: pytest.MonkeyPatch,
    tokens: str,
    best: float,
    step: int,
) -> None:
    """Where the single-mask token alone learns, the best of three masks is chance (protocol 7)."""
    by_step = zip([0.2, 0.6, 0.4], [0.9, 0.1, 0.1], [0.2, 0.3, 0.5], strict=True)
    scored = [dict(zip(SELECTIONS, values, strict=True)) for values in by_step]
    validations = iter([Validation({"box": by}, 1) for by in scored])
    monkeypatch.setattr(loop, "validate", lambda *_: next(validations))
    loss = {"kind": "dice_ce", "tokens": tokens}
    how = config(tmp_path, "finetune", steps=3, validate_every=1, loss=loss)
    progress = loop.train(how, collection, tmp_path / "out", CPU, quiet)
    assert (progress.best, progress.best_step) == (best, step)
    meta = read_checkpoint(tmp_path / "out" / "small.safetensors").meta
    assert (meta["step"], meta["validation"]["dice"]["box"]) == (step, scored[step - 1])


def opinionated(folder: Path) -> Trainee:
    """Drawn weights whose masks and predicted IoU depend on the prompt, as trained ones do."""
    trainee = Trainee(config(folder), CPU.device)
    decoder = trainee.network.mask_decoder
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in decoder.transformer.parameters():
            parameter.mul_(3 if parameter.ndim == 2 else 1)
        for head in (*decoder.output_hypernetworks_mlps, decoder.iou_prediction_head):
            for layer in head.layers:
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=draw))
    return trainee


def prompt_of(mask: NDArray[np.bool_], strategy: str) -> Prompt:
    points, box, _ = by_hand.prompt(
        mask.tolist(), positive=int(strategy == "point_1"), negative=0,
        with_box=strategy == "box", seed=0, lo=0, hi=0,
    )  # fmt: skip
    clicks = tuple(Point(x, y, positive) for x, y, positive in points)
    return Prompt(clicks, None if box is None else Box(*box))


def judged(
    trainee: Trainee, folder: Path, samples: list[Sample], strategy: str
) -> tuple[list[list[list[float]]], set[int]]:
    """Dice of every slice's objects by selection, and the masks that predicted IoU chose.

    By the model of a study, from a checkpoint with the same weights, and the scores' oracle.
    """
    path = folder / "same.safetensors"
    state = trainee.state()
    path.write_bytes(checkpoint_bytes(trainee.architecture, trainee.config, state, {}))
    yaml = str(folder / "miniature.yaml")
    model = load_model(
        ModelChoice.model_validate({"name": "same", "model": yaml, "checkpoint": str(path)})
    )
    slices, chosen = [], set()
    for sample in samples:
        (embedding,) = model.embed([sample.image])
        prompts = [prompt_of(mask, strategy) for mask in sample.masks]
        answers = model.decode(embedding, prompts)
        objects = []
        for truth, masks, iou in zip(
            sample.masks, answers.masks, answers.predicted_iou, strict=True
        ):
            best = scores.oracle((0, 1, 2), list(masks[:3]), truth)
            rated = scores.predicted_iou((0, 1, 2), [float(value) for value in iou[:3]])
            chosen.add(rated)
            by = {"oracle": best, "predicted_iou": rated, "single": 3}
            objects.append(
                [float(scores.dice(*scores.counts(masks[by[s]], truth))) for s in SELECTIONS]
            )
        slices.append(objects)
    return slices, chosen


@pytest.mark.parametrize("strategy", ["box", "point_1"])
def test_a_validation_is_the_mean_over_objects_of_a_studys_scores(
    tmp_path: Path, strategy: str
) -> None:
    """Every object counts once, however many its slice has."""
    samples = [rectangles(1), rectangles(4, first=1), rectangles(2, first=3, height=56)]
    trainee = opinionated(tmp_path)
    slices, chosen = judged(trainee, tmp_path, samples, strategy)
    expected = np.mean([dice for objects in slices for dice in objects], axis=0)
    embedded = [
        (sample, trainee.encode(trainee.inputs([sample.image]))[0].detach()) for sample in samples
    ]
    found = validate(trainee, embedded, [Strategy.model_validate(strategy)])
    assert found.objects == 7
    assert list(found.dice[strategy]) == list(SELECTIONS)
    np.testing.assert_allclose(list(found.dice[strategy].values()), expected, rtol=1e-12)
    # Else the test could not tell one rule from another.
    assert len(chosen) > 1
    assert len({round(float(dice), 3) for dice in expected}) == 3
    by_slice = np.mean([np.mean(objects, axis=0) for objects in slices], axis=0)
    assert (abs(by_slice - expected) > 1e-3).all()


# --- the optimiser -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_step_is_made_at_the_rate_of_its_number(
    tmp_path: Path, collection: Path, kind: str
) -> None:
    """Warm-up, then a cosine, in every part and group of the saved optimiser."""
    how = config(
        tmp_path, steps=4, validate_every=1, images=1,
        optimiser={"kind": kind, "lr": LR, "final_lr": 0, "warmup_steps": 2},
    )  # fmt: skip
    rates: list[set[float]] = []

    def told(event: loop.Event) -> None:
        if event.done > 1:  # the state is written after its step is told
            rates.append(rates_of(tmp_path / "out"))

    loop.train(how, collection, tmp_path / "out", CPU, told)
    rates.append(rates_of(tmp_path / "out"))
    assert [len(at_step) for at_step in rates] == [1] * 4
    expected = [LR * share for share in (0.5, 1, 1, 0.5)]
    assert [rate for at_step in rates for rate in at_step] == pytest.approx(expected)


def rates_of(out: Path) -> set[float]:
    parts = state_of(out)["optimiser"]
    return {group["lr"] for part in parts for group in part["param_groups"]}


def layers() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.LayerNorm(4))


def stepped(kind: str, lr: float, gradient: float, **how: float) -> list[torch.Tensor]:
    """How the parameters of `layers` change in one step with that gradient everywhere."""
    network = layers()
    asked = Optimiser.model_validate({"kind": kind, "lr": LR, "final_lr": LR, **how})
    optimisers = Optimisers(network, list(network.parameters()), asked)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    optimisers.step(lr)
    return [p.detach() - b for p, b in zip(network.parameters(), before, strict=True)]


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_step_is_as_long_as_its_rate(kind: str) -> None:
    whole = stepped(kind, LR, 0.3, weight_decay=0)
    tenth = stepped(kind, LR / 10, 0.3, weight_decay=0)
    for long, short in zip(whole, tenth, strict=True):
        assert (long < 0).all()
        torch.testing.assert_close(short, long / 10, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_weights_decay_by_rate_times_decay(kind: str, decay: float) -> None:
    """Without a gradient nothing else changes them (decoupled decay, Loshchilov & Hutter 2019)."""
    changes = stepped(kind, 2 * LR, 0.0, weight_decay=decay)
    for parameter, change in zip(layers().parameters(), changes, strict=True):
        torch.testing.assert_close(change, -2 * LR * decay * parameter, rtol=1e-3, atol=1e-7)


def first_gradient(out: Path, how: TrainingConfig, collection: Path) -> torch.Tensor:
    """float[n]: all gradients of the first step, out of AdamW's first moments."""
    trained(how, collection, out)
    (part,) = state_of(out)["optimiser"]
    share = 1 - float(part["param_groups"][0]["betas"][0])
    return torch.cat([kept["exp_avg"].flatten() for kept in part["state"].values()]).div(share)


def test_gradients_are_cut_to_their_longest_norm(tmp_path: Path, collection: Path) -> None:
    """All together, their direction kept; shorter ones stay as they are."""

    def gradient(name: str, clip_norm: float | None) -> torch.Tensor:
        how = config(tmp_path, "finetune", steps=1, optimiser={"clip_norm": clip_norm})
        return first_gradient(tmp_path / name, how, collection)

    free = gradient("free", None)
    norm = float(free.norm())
    half = gradient("half", norm / 2)
    assert norm > 0
    torch.testing.assert_close(half, free / 2, rtol=1e-3, atol=1e-7 * norm)
    torch.testing.assert_close(gradient("roomy", 2 * norm), free, rtol=1e-6, atol=0)


# --- what is kept, what is drawn ---------------------------------------------------------------


@pytest.mark.parametrize(("every_s", "expected"), [(0.0, [None, 1, 2]), (120.0, [None] * 3)])
def test_the_state_is_saved_between_validations(
    tmp_path: Path,
    collection: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_s: float,
    expected: list[int | None],
) -> None:
    """When it is due; a training of hours without a validation can be resumed all the same."""
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", every_s)
    out = tmp_path / "out"
    saved: list[int | None] = []

    def told(event: loop.Event) -> None:
        there = (out / "state.pt").exists()
        saved.append(state_of(out)["progress"]["step"] if there else None)

    loop.train(config(tmp_path, steps=3, validate_every=3), collection, out, CPU, told)
    assert saved == expected
    assert state_of(out)["progress"]["step"] == 3


class OneImage(Shelf):
    """A shelf that holds the same image again and again."""

    def __init__(self, sample: Sample) -> None:
        super().__init__(Path(), (), Intensity())
        self.sample = sample

    def __getitem__(self, number: int) -> Sample:
        return self.sample


def test_some_objects_of_an_image_are_any_of_them(tmp_path: Path) -> None:
    """Two of four: each as often as another, in every pair, with its own box and target."""
    prompts = {"strategies": {"box": 1}, "per_image": 1, "objects": 2}
    how = config(tmp_path, "finetune", prompts=prompts)
    sample = rectangles(4)
    targets = coverage(torch.from_numpy(sample.masks), 64, 16)
    left = [int(np.nonzero(mask)[1].min()) for mask in sample.masks]
    drawn: Counter[int] = Counter()
    pairs: set[tuple[int, ...]] = set()
    for slot in range(120):
        (one,) = make_work(how, OneImage(sample), 0, slot, 0, (64, 16)).passes
        which = [int((targets - target).abs().sum((1, 2)).argmin()) for target in one.target]
        assert all(torch.equal(targets[k], t) for k, t in zip(which, one.target, strict=True))
        assert one.prompts.boxes is not None
        wanted = [left[k] * 64 / 60 for k in which]
        np.testing.assert_allclose(one.prompts.boxes[:, 0].numpy(), wanted, atol=0.6)
        drawn.update(which)
        pairs.add(tuple(sorted(which)))
    assert len(pairs) == 6
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert all(40 <= drawn[k] <= 80 for k in range(4))
