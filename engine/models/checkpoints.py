"""Weights files: read without running anything in them, and told apart.

Read: torch files with a plain state dict (Meta's, MedSAM's) or one wrapped as `{"model": ...}` or
`{"state_dict": ...}`; safetensors files; and samscope's own, safetensors whose header holds
    format          "samscope-1"
    architecture    name of the model configuration
    meta            JSON: `trained_on` (list of datasets), `trained_subjects` (ids of those seen;
                    of a dataset without any, all may have been), `network` (the configuration the
                    tensors belong to), and whatever the training wants to keep (seed, step, ...)
    meta_sha256     of that text
    tensors_sha256  of the bytes of all tensors; safetensors itself protects neither
"""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from engine.errors import CheckpointError
from engine.models.checkpoint_meta import parse_meta
from engine.models.network import NetworkConfig

FORMAT = "samscope-1"
_ZIP = b"PK\x03\x04"
_LEGACY = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
"""The magic number at the start of files torch wrote before it used zip."""
_BROKEN = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)
"""What torch's readers raise on damaged bytes; found by flipping bytes at random."""
_LONGEST_HEADER = 100 * 2**20
"""What safetensors itself allows."""
_NAMED = 3
"""Keys an error message names of each sort."""


@dataclass(frozen=True)
class Checkpoint:
    """A weights file as read.

    Attributes:
        path: where it was read.
        state: tensors on the CPU, in the file's precision.
        architecture: as the file says; None for foreign formats.
        meta: as the file says.
    """

    path: Path
    state: dict[str, torch.Tensor]
    architecture: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Datasets the file says its weights have seen."""
        return tuple(str(name) for name in self.meta.get("trained_on", ()))

    @property
    def trained_subjects(self) -> tuple[str, ...]:
        """Ids of the subjects the file says its weights have seen."""
        return tuple(str(name) for name in self.meta.get("trained_subjects", ()))


def checkpoint_bytes(
    architecture: str,
    network: NetworkConfig,
    state: Mapping[str, torch.Tensor],
    meta: Mapping[str, Any],
) -> bytes:
    """A file of samscope's format.

    Args:
        meta: values JSON can hold; `network` is added.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    text = json.dumps({**meta, "network": network.model_dump(mode="json")})
    header = {
        "format": FORMAT,
        "architecture": architecture,
        "meta": text,
        "meta_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "tensors_sha256": _tensors_sha256(tensors),
    }
    return save(tensors, metadata=header)


def _tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + b"\n")
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_checkpoint(path: Path, *, usual_name: str | None = None) -> Checkpoint:
    """Read a weights file; nothing in it is executed.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, holding code, or not finite.
    """
    if not path.is_file():
        hint = f"; this model's weights are usually called {usual_name}" if usual_name else ""
        raise CheckpointError(
            "the checkpoint does not exist or is not a file",
            where=str(path),
            got="a folder" if path.is_dir() else "no such file",
            expected="a weights file",
            remedy="check the path" + hint,
        )
    checkpoint = _read_safetensors(path) or _unwrap(path, _load(path))
    _check_finite(checkpoint)
    return checkpoint


def _read_safetensors(path: Path) -> Checkpoint | None:
    """None: the file does not begin like one."""
    with path.open("rb") as stream:
        start = stream.read(9)
    if len(start) < 9 or start[8:] != b"{" or int.from_bytes(start[:8], "little") > _LONGEST_HEADER:
        return None
    try:
        with safe_open(path, framework="pt") as archive:
            header = archive.metadata() or {}
            state = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, *_BROKEN) as error:
        raise _damaged(path, error) from error
    if header.get("format") != FORMAT:
        return _unwrap(path, state)
    if header.get("tensors_sha256") != _tensors_sha256(state):
        raise _damaged(path, "the checksum of its tensors is wrong")
    text = header.get("meta", "")
    if header.get("meta_sha256") != hashlib.sha256(text.encode()).hexdigest():
        raise _damaged(path, "the checksum of its record is wrong")
    try:
        meta = parse_meta(text)
    except ValueError as error:
        raise _damaged(path, error) from error
    return Checkpoint(path, state, header.get("architecture"), meta)


def _load(path: Path) -> object:
    _check_container(path)
    try:
        with warnings.catch_warnings():
            # torch warns of a foreign pickle protocol before it fails with a better message.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            warnings.filterwarnings("ignore", "Validating sparse tensor", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except _BROKEN as error:
        raise _damaged(path, error) from error


def _refused(path: Path, error: pickle.UnpicklingError) -> CheckpointError:
    """torch reports code, foreign pickle protocols and a broken stream with one error type."""
    found = str(error).rpartition("WeightsUnpickler error:")[2]
    if "Unsupported operand" in found:
        return CheckpointError(
            "the checkpoint was saved in a way torch does not read safely, or is damaged",
            where=str(path),
            got=_first_line(found),
            expected="torch.save with its default pickle protocol (2)",
            remedy="save it again with torch.save(state_dict, path)",
        )
    if "Unsupported" in found or "GLOBAL" in found:
        return CheckpointError(
            "the checkpoint holds more than tensors and was not opened",
            where=str(path),
            got=_first_line(found),
            expected="a state dict of tensors, loadable with weights_only=True",
            remedy="save model.state_dict() instead of a whole object",
        )
    return _damaged(path, _first_line(found))


def _check_container(path: Path) -> None:
    """Recognise the file by its first bytes and verify a zip's checksums, which torch does not."""
    with path.open("rb") as stream:
        start = stream.read(32)
    if start.startswith(_ZIP):
        _check_zip(path)
    elif _LEGACY not in start:
        raise CheckpointError(
            "this file is not a torch checkpoint",
            where=str(path),
            got=f"{path.stat().st_size} bytes beginning with {start[:8]!r}",
            expected="a file written by torch.save or safetensors",
        )


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            broken = archive.testzip()
    except CheckpointError:
        raise
    except (zipfile.BadZipFile, zlib.error, *_BROKEN) as error:
        raise _damaged(path, error) from error
    if broken is not None:
        raise _damaged(path, f"wrong checksum of {broken}")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if any(name.endswith("constants.pkl") for name in names):
        raise CheckpointError(
            "this is a TorchScript program, not a state dict",
            where=str(path),
            remedy="save model.state_dict() with torch.save",
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise CheckpointError(
            "this zip file is not a torch checkpoint",
            where=str(path),
            got=", ".join(names[:_NAMED]) or "an empty archive",
            expected="a file written by torch.save",
        )
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:  # a small file could fill the memory
            raise CheckpointError(
                "the checkpoint is compressed, which torch.save never does",
                where=str(path),
                got=f"{member.filename}: {member.file_size:,} bytes in {member.compress_size:,}",
                expected="a file written by torch.save",
                remedy="unpack it and save the state dict again with torch.save",
            )


def _damaged(path: Path, found: object) -> CheckpointError:
    return CheckpointError(
        "the checkpoint is damaged or was cut short",
        where=str(path),
        got=f"{_first_line(found)} ({path.stat().st_size} bytes)",
        remedy="download or copy it again and compare its size and checksum",
    )


def _first_line(value: object) -> str:
    return str(value).strip().split("\n")[0][:200]


def _unwrap(path: Path, value: object) -> Checkpoint:
    """The state dict inside `value`, whichever wrapping it has."""
    for key in ("state_dict", "model"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if (
        not isinstance(value, Mapping)
        or not value
        or not all(isinstance(item, torch.Tensor) for item in value.values())
    ):
        raise CheckpointError(
            "no state dict in this checkpoint",
            where=str(path),
            got=_summary(value),
            expected='name -> tensor, or {"model": ...}, {"state_dict": ...}',
        )
    odd = [str(name) for name, tensor in value.items() if not _plain(tensor)]
    if odd:
        raise CheckpointError(
            "the checkpoint holds tensors without plain values",
            where=str(path),
            got=listed(odd),
            expected="dense tensors, neither sparse nor quantised nor without storage",
        )
    state = {str(name).removeprefix("module."): tensor for name, tensor in value.items()}
    return Checkpoint(path, state)


def _plain(tensor: torch.Tensor) -> bool:
    dense = tensor.layout == torch.strided and not tensor.is_quantized
    return dense and tensor.device.type == "cpu"


def _summary(value: object) -> str:
    if isinstance(value, Mapping):
        return "a dict with keys " + (", ".join(str(k) for k in list(value)[:5]) or "(none)")
    return type(value).__name__


def _check_finite(checkpoint: Checkpoint) -> None:
    bad = [
        name
        for name, tensor in checkpoint.state.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if bad:
        raise CheckpointError(
            "the checkpoint holds NaN or infinite weights",
            where=str(checkpoint.path),
            got=listed(bad),
            remedy="take an earlier checkpoint of that training",
        )


def listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
