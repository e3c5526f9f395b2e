"""`samscope train`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from engine.commands.say import out
from engine.configuration import load_yaml
from engine.errors import UserError, system_words
from engine.files import exclusive_lock
from engine.stores import Place
from engine.study import Runtime
from engine.training.config import TrainingConfig
from engine.training.folder import write_whole
from engine.training.log import read_log
from engine.training.loop import LOG, Event, Listener
from engine.training.network import Trainee
from engine.training.record import model_path, unnamed_datasets
from engine.training.samples import population_of
from engine.training.split import refuse_seen, split_subjects
from engine.training.validation import Validation

log = logging.getLogger(__name__)

_LOCK = "driver.lock"
_LINE_EVERY = 25
_SMOOTH = 25


def train_command(
    config_path: Path, collection: Place, folder: Path, runtime: Runtime, threads: int | None
) -> int:
    """Train or go on training; leaves the best checkpoint, the log and its curves in `folder`."""
    from engine.pipeline.cluster import address_of, connected, device_of
    from engine.training.distributed import Workers, local_workers, train_on_workers

    config = load_yaml(config_path, TrainingConfig, "training")
    config = config.model_copy(update={"model": config.model.with_absolute_paths()})
    _check(config, collection)
    folder, collection = folder.resolve(), collection.resolve()
    _make(folder)
    with exclusive_lock(folder / _LOCK) as holder:
        if holder is not None:
            raise UserError(
                "another training is at work in this folder",
                where=str(folder),
                got=f"process {holder}",
                remedy="wait for it, or choose another --out",
            )
        with connected(runtime):
            device = device_of(runtime)
            count, attempts = runtime.actors or 1, runtime.attempts
            if address_of(runtime) == "local":
                workers = local_workers(count, device, threads, attempts)
            else:
                workers = Workers(count, device, threads or 1, attempts)
            with _shown(Console(stderr=True)) as told:
                train_on_workers(config, collection, folder, workers, told)
    _summary(config, folder)
    return 0


def _check(config: TrainingConfig, collection: Place) -> None:
    """Every mistake that can be found before anything starts."""
    population = population_of(config, collection)
    split = split_subjects(population, config.data)
    before = Trainee(config, torch.device("cpu")).started_from
    refuse_seen(split, before.trained_subjects)
    unnamed = unnamed_datasets(before).intersection(m.dataset for m in population.members)
    if unnamed:
        log.warning(
            "the first weights have seen %s and do not say which subjects: "
            "validation and test may not be unseen", ", ".join(sorted(unnamed)),
        )  # fmt: skip
    log.info(
        "%s of %s subjects train, %s validate, %s are kept for tests",
        len(split.train), len(population.subjects), len(split.validation), len(split.test),
    )  # fmt: skip


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise UserError(
            "cannot make the training directory",
            where=str(folder),
            got=system_words(error),
            remedy="choose another --out",
        ) from error


def _summary(config: TrainingConfig, folder: Path) -> None:
    from dashboards.training import curves_page

    records = read_log(folder / LOG)
    validations = [record for record in records if "validation" in record]
    out(f"checkpoint  {model_path(folder, config)}")
    if not validations:
        log.warning("%s is gone: no curves can be drawn", folder / LOG)
        return
    write_whole(folder / "curves.html", curves_page(records, config.name).encode())
    judge = config.judged_by
    best = max(validations, key=lambda r: sum(v[judge] for v in r["validation"].values()))
    for strategy, dice in best["validation"].items():
        words = ", ".join(f"{selection} {value:.3f}" for selection, value in dice.items())
        out(f"{strategy:14} Dice {words}  ({best['objects']} objects, step {best['step']})")
    out(f"curves      {folder / 'curves.html'}")


@contextmanager
def _shown(console: Console) -> Iterator[Listener]:
    """A listener that draws a bar in a terminal and writes lines elsewhere."""
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar)


class _Lines:
    """One line every few steps, and every validation."""

    def __init__(self) -> None:
        self._losses: list[float] = []

    def __call__(self, event: Event) -> None:
        if event.loss is not None:
            self._losses = [*self._losses, event.loss][-_SMOOTH:]
        if event.validation is None and event.done % _LINE_EVERY and event.done != event.of:
            return
        words = f" mean loss {sum(self._losses) / len(self._losses):.3f}" if self._losses else ""
        log.info("%s %d of %d%s", event.doing, event.done, event.of, words)
        if event.validation is not None:
            log.info("validation %s", _words(event.validation))


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, object] = {}
        self._words = ""

    def __call__(self, event: Event) -> None:
        if event.doing not in self._tasks:
            self._tasks[event.doing] = self._bar.add_task(event.doing, total=event.of, words="")
        if event.validation is not None:
            self._words = _words(event.validation)
        loss = "" if event.loss is None else f"loss {event.loss:.3f} "
        self._bar.update(
            self._tasks[event.doing],  # type: ignore[arg-type]
            completed=event.done,
            total=event.of,
            words=loss + self._words,
        )


def _words(validation: Validation) -> str:
    return "Dice " + ", ".join(f"{n} {by['oracle']:.3f}" for n, by in validation.dice.items())
