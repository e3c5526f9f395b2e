"""The checkpoint a training leaves, with all that is needed to judge and to repeat it."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import engine
from engine.errors import CheckpointError, UserError
from engine.identity import quote_name
from engine.models.checkpoints import checkpoint_bytes, read_checkpoint
from engine.models.weights import Weights
from engine.training.config import ALGORITHM_VERSION, TrainingConfig
from engine.training.folder import write_whole
from engine.training.network import Trainee
from engine.training.samples import Population
from engine.training.split import Split
from engine.training.state import Progress
from engine.training.validation import Validation


def write_model(
    out: Path,
    config: TrainingConfig,
    trainee: Trainee,
    population: Population,
    split: Split,
    progress: Progress,
    validation: Validation,
    identity: str,
) -> Path:
    """Write `out/<name>.safetensors`, whole or not at all.

    Where everything learns it is stored in half precision, as it is shipped. Where the decoder
    alone learns every tensor keeps its precision, so that a frozen encoder stays what it was to the
    bit.

    Raises:
        UserError: no space; the checkpoint before stays as it was.
    """
    path = model_path(out, config)
    state = trainee.state()
    if stored_in_half(config):
        state = {name: value.half() for name, value in state.items()}
    meta = _meta(config, trainee, population, split, progress, validation)
    meta["identity"] = identity
    write_whole(path, checkpoint_bytes(trainee.architecture, trainee.config, state, meta))
    return path


def model_path(out: Path, config: TrainingConfig) -> Path:
    """Where a training leaves its best weights."""
    return out / f"{config.name}.safetensors"


def stored_in_half(config: TrainingConfig) -> bool:
    """Whether the checkpoint holds float16."""
    return config.learns == "all"


def refuse_foreign(path: Path, identity: str) -> None:
    """A training without a state may replace its own checkpoint, nobody else's.

    Raises:
        UserError: the file is of another training, or cannot be read.
    """
    try:
        found = str(read_checkpoint(path).meta.get("identity", "none"))
    except CheckpointError as error:
        found = error.what
    if found != identity:
        raise UserError(
            "this folder holds a checkpoint that this training would replace",
            where=str(path),
            got=f"training {found[:12]}" if len(found) == len(identity) else found,
            expected=f"no file of that name, or one of training {identity[:12]}",
            remedy="choose another --out or name, or move the file away",
        )


def unnamed_datasets(before: Weights) -> set[str]:
    """Datasets that weights have seen without saying which subjects."""
    named = {subject.partition("/")[0] for subject in before.trained_subjects}
    return {dataset for dataset in before.trained_on if quote_name(dataset) not in named}


def seen_subjects(before: Weights, split: Split, population: Population) -> list[str]:
    """Subjects all trainings of these weights have seen, as far as it can be known.

    Of a dataset that the first weights saw without naming subjects none is named: then all count.
    """
    of = {member.subject_id: member.dataset for member in population.members}
    unnamed = unnamed_datasets(before)
    fresh = {subject for subject in split.train if of[subject] not in unnamed}
    return sorted({*before.trained_subjects, *fresh})


def _meta(
    config: TrainingConfig,
    trainee: Trainee,
    population: Population,
    split: Split,
    progress: Progress,
    validation: Validation,
) -> dict[str, Any]:
    seen = {m.dataset for m in split.members(population, "train")}
    modalities = {m.ref.modality for m in split.members(population, "train")}
    before = trainee.started_from
    return {
        "name": config.name,
        "trained_on": sorted({*before.trained_on, *seen}),
        "trained_subjects": seen_subjects(before, split, population),
        "modalities": sorted(modalities),
        "training": config.model_dump(mode="json"),
        "started_from_sha256": before.sha256,
        "seed": config.seed,
        "data_sha256": population.data_sha256,
        "subjects": {"train": split.train, "validation": split.validation, "test": split.test},
        "step": progress.step,
        "seconds": round(progress.seconds),
        "validation": {"objects": validation.objects, "dice": validation.dice},
        "machine": machine(trainee.device),
        "code": {
            "samscope": engine.__version__,
            "training": ALGORITHM_VERSION,
            "source_sha256": source_sha256(),
            "torch": torch.__version__,
        },
    }


def machine(device: torch.device) -> str:
    """What computed, in words, without the name of the host."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU ({capability}), {threads} of {os.cpu_count()} threads"


@lru_cache(maxsize=1)
def source_sha256() -> str:
    """Hash of samscope's own source files: which code trained this."""
    root = Path(engine.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\n")
        digest.update(path.read_bytes())
    return digest.hexdigest()
