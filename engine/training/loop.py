"""The one training loop: pretraining and decoder fine-tuning, alone or as one of several workers.

Plain torch. A step's images are dealt to the workers, each adds up the gradients of its own, and
the team sums them: the weights are those one worker would have got, to rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import SamscopeError, UserError
from engine.models.decoding import PromptTensors, low_res_logits
from engine.stores import Place
from engine.training.batches import Work, ahead, make_work, numbers_of, total_steps
from engine.training.config import Optimiser, TrainingConfig
from engine.training.embeddings import EmbeddingStore
from engine.training.log import TrainingLog
from engine.training.losses import prompt_losses
from engine.training.network import Trainee
from engine.training.optimiser import Optimisers
from engine.training.record import (
    model_path,
    refuse_foreign,
    source_sha256,
    stored_in_half,
    write_model,
)
from engine.training.samples import Member, Population, Sample, Shelf, population_of
from engine.training.split import Split, refuse_seen, split_subjects
from engine.training.state import Progress, load_state, save_state
from engine.training.validation import Validation, evenly, monitored, validate

STATE = "state.pt"
LOG = "log.jsonl"

_SAVE_EVERY_S = 120.0


@dataclass(frozen=True)
class Team:
    """One worker among `world`.

    Attributes:
        rank: 0 writes files and reports.
        total: sums tensors over all workers, in place.
        threads: that prepare images beside the computing one.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    total: Callable[[list[torch.Tensor]], None] = lambda tensors: None
    threads: int = 1


@dataclass(frozen=True)
class Event:
    """What a training tells its listener.

    Attributes:
        doing: `encoding` (slices) or `training` (steps).
        done, of: slices or steps.
        loss: of the step.
        validation: made after the step.
    """

    doing: str
    done: int
    of: int
    loss: float | None = None
    validation: Validation | None = None


Listener = Callable[[Event], None]


def train(
    config: TrainingConfig, collection: Place, out: Path, team: Team, told: Listener
) -> Progress:
    """Train to the end, from the folder's last state on.

    Leaves in `out`: `log.jsonl`, `state.pt` and `<name>.safetensors`, the best validated weights.

    Raises:
        UserError: wrong data, split, weights or folder, or no space.
        SamscopeError: the loss is no longer finite.
    """
    population = population_of(config, collection)
    return _Training(config, collection, population, out, team, told).run()


class _Training:
    """A training in one process."""

    def __init__(
        self,
        config: TrainingConfig,
        collection: Place,
        population: Population,
        out: Path,
        team: Team,
        told: Listener,
    ) -> None:
        self.config, self.out, self.team, self.told = config, out, team, told
        self.population = population
        self.split: Split = split_subjects(population, config.data)
        self.trainee = Trainee(config, team.device)
        refuse_seen(self.split, self.trainee.started_from.trained_subjects)
        source_sha256()  # as it is now, not as it may be at the first validation
        members = self.split.members(population, "train")
        held = evenly(self.split.members(population, "validation"), config.validation_slices)
        self.shelf = _shelf(config, collection, members)
        self.held = _shelf(config, collection, held)
        self.identity = config.identity(population.data_sha256, self.trainee.started_from.sha256)
        self.kept = self._embeddings("train", members)
        self.kept_held = self._embeddings("validation", held)
        self.steps = total_steps(config, len(members))
        self.validate_every = config.validate_every or math.ceil(len(members) / config.images)
        self.optimiser = Optimisers(self.trainee.network, self.trainee.parameters, config.optimiser)
        self.log = TrainingLog(out / LOG)
        self.progress = Progress()

    def run(self) -> Progress:
        self._resume()
        self._encode()
        started, before = time.monotonic(), self.progress.seconds
        saved = started
        first = self.progress.step
        for works in ahead(self._prepare, range(first, self.steps), self.team.threads):
            began = time.monotonic()
            loss = self._step(works)
            now = time.monotonic()
            self.progress.step += 1
            self.progress.seconds = before + now - started
            self._record(loss, now - began)
            last = self.progress.step == self.steps
            validation = None
            if last or self.progress.step % self.validate_every == 0:
                validation = self._validate()
            self.told(Event("training", self.progress.step, self.steps, loss, validation))
            if validation is not None or now - saved > _SAVE_EVERY_S:
                saved = now
                self._save()
        return self.progress

    def _embeddings(self, part: str, members: tuple[Member, ...]) -> EmbeddingStore | None:
        if not self.config.encodes_once:
            return None
        ids = [member.ref.slice_id for member in members]
        return EmbeddingStore(self.out / "embeddings" / part, self.trainee, ids, self.identity)

    def _resume(self) -> None:
        """Every worker reads the one state; only the first touches the log."""
        state = self.out / STATE
        found = load_state(state, self.identity, self.trainee.network, self.optimiser)
        self.progress = found or Progress()
        if self.team.rank == 0:
            self._look_at_the_checkpoint(fresh=found is None)
            self.log.cut(self.progress.step)

    def _look_at_the_checkpoint(self, fresh: bool) -> None:
        """Never replace another training's, nor end without one.

        Raises:
            UserError: the checkpoint is another training's, or is gone though all is done.
        """
        path = model_path(self.out, self.config)
        if fresh and path.is_file():
            refuse_foreign(path, self.identity)
        if not fresh and self.progress.best is not None and not path.exists():
            if self.progress.step == self.steps:
                raise UserError(
                    "this training is finished, but its checkpoint is gone",
                    where=str(path),
                    remedy=f"restore it, or delete {self.out / STATE} to train again",
                )
            self.progress.best = None  # the next validation writes one

    def _encode(self) -> None:
        for store, shelf in ((self.kept, self.shelf), (self.kept_held, self.held)):
            if store is not None and self.team.rank == 0:
                store.fill(shelf, lambda done, of: self.told(Event("encoding", done, of)))
        self.team.total([torch.zeros(1, device=self.team.device)])  # the others wait here

    def _prepare(self, step: int) -> list[Work]:
        """This worker's images of a step."""
        size = (self.trainee.config.input_size, self.trainee.cells)
        numbers = numbers_of(self.config, len(self.shelf), step)
        return [
            make_work(self.config, self.shelf, step, slot, number, size)
            for slot, number in enumerate(numbers)
            if slot % self.team.world == self.team.rank
        ]

    def _step(self, works: list[Work]) -> float:
        """One optimiser step; the mean loss of all its images."""
        self.optimiser.zero_grad()
        loss = self._gradients(works)
        parameters = self.trainee.parameters
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.team.total([loss, *(p.grad for p in parameters if p.grad is not None)])
        value = float(loss)
        if not math.isfinite(value):
            raise self._diverged(f"a loss of {value}")
        if self.config.optimiser.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip_norm)
        self.optimiser.step(self._lr(self.progress.step))
        return value

    def _diverged(self, found: str) -> SamscopeError:
        return SamscopeError(
            "the training has diverged",
            where=f"step {self.progress.step + 1}",
            got=found,
            expected="finite losses and weights, within half precision where they are stored so",
            remedy="lower optimiser.lr and begin in another folder; checkpoints here are whole",
        )

    def _check_weights(self) -> None:
        """Before anything is written. Raises SamscopeError if a weight cannot be stored."""
        kind = torch.float16 if stored_in_half(self.config) else torch.float32
        for name, value in self.trainee.network.state_dict().items():
            if not bool(torch.isfinite(value.to(kind)).all()):
                raise self._diverged(f"weights of {name} that are not finite in {kind}")

    def _gradients(self, works: list[Work]) -> torch.Tensor:
        """Add up gradients image by image, so that memory does not grow with the step."""
        total = torch.zeros(1, device=self.team.device)
        if not works:
            return total
        features = self._features(works)
        leaf = features.detach().requires_grad_(features.requires_grad)
        for place, work in enumerate(works):
            scale = 1 / (self.config.images * work.n_prompts)
            for one in work.passes:
                with self.trainee.precision():
                    logits, iou = low_res_logits(
                        self.trainee.network, leaf[place : place + 1], self._moved(one.prompts)
                    )
                each = prompt_losses(logits, iou, one.target.to(leaf.device), self.config.loss)
                loss = scale * each.sum()
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        if features.requires_grad:
            features.backward(leaf.grad)  # type: ignore[no-untyped-call]
        return total

    def _features(self, works: list[Work]) -> torch.Tensor:
        """float[n, channels, h, w] of the step's images: kept ones, or encoded with gradients."""
        if self.kept is not None:
            return torch.stack([self.kept[work.number] for work in works]).to(self.team.device)
        with torch.set_grad_enabled(self.config.learns == "all"):
            return self.trainee.encode(self.trainee.inputs([work.image for work in works]))

    def _moved(self, prompts: PromptTensors) -> PromptTensors:
        return PromptTensors(
            *(
                None if value is None else value.to(self.team.device)
                for value in (prompts.coords, prompts.labels, prompts.boxes)
            )
        )

    def _validate(self) -> Validation | None:
        """Validate, log it, and keep the weights if they are the best so far."""
        if self.team.rank != 0:
            return None
        self._check_weights()
        validation = validate(self.trainee, self._held_out(), monitored(self.config))
        step = self.progress.step
        self.log.add({"step": step, "validation": validation.dice, "objects": validation.objects})
        score = validation.score(self.config.judged_by)
        if self.progress.best is None or score > self.progress.best:
            self.progress.best, self.progress.best_step = score, step
            write_model(
                self.out, self.config, self.trainee, self.population, self.split, self.progress,
                validation, self.identity,
            )  # fmt: skip
        return validation

    def _held_out(self) -> Iterator[tuple[Sample, torch.Tensor]]:
        for number in range(len(self.held)):
            sample = self.held[number]
            if self.kept_held is not None:
                features = self.kept_held[number].to(self.team.device)
            else:
                with torch.inference_mode():
                    features = self.trainee.encode(self.trainee.inputs([sample.image]))[0]
            yield sample, features

    def _record(self, loss: float, seconds: float) -> None:
        if self.team.rank == 0:
            step = self.progress.step
            lr = self._lr(step - 1)
            self.log.add({"step": step, "loss": loss, "lr": lr, "seconds": round(seconds, 3)})

    def _lr(self, step: int) -> float:
        """Learning rate of step `step`, from 0."""
        return learning_rate(self.config.optimiser, step, self.steps)

    def _save(self) -> None:
        if self.team.rank == 0:
            self._check_weights()
            network, optimiser = self.trainee.network, self.optimiser
            save_state(self.out / STATE, self.identity, self.progress, network, optimiser)


def learning_rate(how: Optimiser, step: int, steps: int) -> float:
    """Of step `step` (from 0) of `steps`: linear warm-up, then a cosine down to `final_lr`."""
    if step < how.warmup_steps:
        return how.lr * (step + 1) / how.warmup_steps
    share = (step - how.warmup_steps) / max(1, steps - how.warmup_steps)
    return how.final_lr + (how.lr - how.final_lr) * (1 + math.cos(math.pi * share)) / 2


def _shelf(config: TrainingConfig, collection: Place, members: tuple[Member, ...]) -> Shelf:
    return Shelf(collection, [member.ref for member in members], config.data.intensity)
