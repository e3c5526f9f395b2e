"""Where a training stands: everything that is needed to go on as if it had never stopped."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.errors import UserError, text_of
from engine.training.folder import write_whole
from engine.training.optimiser import Optimisers


@dataclass
class Progress:
    """What changes while a training runs, beside weights and optimiser.

    Attributes:
        step: finished steps.
        seconds: computed so far, over all sittings.
        best: highest validation score so far; None before the first.
        best_step: when it was reached.
    """

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0


def save_state(
    path: Path, identity: str, progress: Progress, network: Any, optimiser: Optimisers
) -> None:
    """Write the state whole or not at all.

    Raises:
        UserError: it cannot be written; the state before stays as it was.
    """
    buffer = io.BytesIO()
    record = {
        "identity": identity,
        "progress": vars(progress),
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    torch.save(record, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path, identity: str, network: Any, optimiser: Optimisers) -> Progress | None:
    """Bring network and optimiser back to where they were; None: there is no state yet.

    Raises:
        UserError: the state is of another training, or damaged.
    """
    if not path.exists():
        return None
    device = next(network.parameters()).device
    try:
        _check_sums(path)
        record = torch.load(path, map_location=device, weights_only=True)
        found = record["identity"]
    except Exception as error:  # torch raises nearly anything on damaged bytes
        raise _damaged(path, error) from error
    if found != identity:
        raise UserError(
            "this folder holds another training",
            where=str(path.parent),
            got=f"a state of training {found[:12]}",
            expected=f"training {identity[:12]}: the same configuration and data",
            remedy="choose another --out, or go back to what it was begun with",
        )
    try:
        network.load_state_dict(record["network"])
        optimiser.load_state_dict(record["optimiser"])
        return Progress(**record["progress"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _check_sums(path: Path) -> None:
    """Verify what `torch.load` does not: a flipped bit in a weight would load silently.

    Raises:
        ValueError: a checksum is wrong.
    """
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"wrong checksum of {broken}")


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        "the saved state of the training is damaged",
        where=str(path),
        got=text_of(error).split("\n")[0],
        remedy="restore it, or delete it to begin again; the checkpoint beside it is whole",
    )
