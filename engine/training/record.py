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
from engine.models.checkpoints import checkpoint_bytes
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
) -> Path:
    """Write `out/<name>.safetensors`, whole or not at all.

    What was trained from nothing is stored in half precision, as it is shipped. After fine-tuning
    every tensor keeps its precision, so that a frozen encoder stays what it was to the bit.

    Raises:
        UserError: no space; the checkpoint before stays as it was.
    """
    path = out / f"{config.name}.safetensors"
    state = trainee.state()
    if config.learns == "all":
        state = {name: value.half() for name, value in state.items()}
    meta = _meta(config, trainee, population, split, progress, validation)
    write_whole(path, checkpoint_bytes(trainee.architecture, trainee.config, state, meta))
    return path


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
