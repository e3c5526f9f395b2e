"""Weights of a network: drawn from a seed, or read from a checkpoint, and their hash.

One rule for the hash: SHA-256 over the network's configuration and its tensors (names, shapes and
little-endian float32 bytes, sorted by name), whether drawn or read. The wrapping, precision and
file of a checkpoint do not matter; heads and windows, which no tensor shows, do.

Untrained weights follow torch's default distributions but not its generators: those differ
between processors (torch's normal and uniform fills give other bits with and without AVX2). Here
each tensor has its own PCG64 stream and only exactly rounded arithmetic, so a seed gives the same
bits everywhere, and no global generator is read or moved.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import CheckpointError, SamscopeError
from engine.identity import canonical_json, file_sha256
from engine.models.checkpoint_fit import check_fits
from engine.models.checkpoints import Checkpoint, read_checkpoint
from engine.models.kind import ModelConfig, weights_file
from engine.models.network import NetworkConfig, empty_network
from engine.study import ModelChoice

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Weights:
    """A state dict that fits its network.

    Attributes:
        state: float32 tensors on the CPU.
        sha256: the hash described above.
        trained_on: datasets seen in training; none for untrained weights.
        trained_subjects: ids of the subjects among them, where known.
        untrained: they were drawn, not read.
    """

    state: State
    sha256: str
    trained_on: tuple[str, ...]
    trained_subjects: tuple[str, ...] = ()
    untrained: bool = False

    @property
    def parameters(self) -> int:
        """Numbers in the state dict, fixed encodings included."""
        return sum(tensor.numel() for tensor in self.state.values())


def obtain_weights(choice: ModelChoice, network: NetworkConfig, config: ModelConfig) -> Weights:
    """The weights `choice` asks for: its checkpoint's, the shipped ones, or untrained ones.

    Raises:
        CheckpointError: missing, damaged or foreign file, or weights that are not finite.
    """
    path = weights_file(choice, config)
    if path is None:
        state = draw_weights(network, choice.init_seed or 0)
        return Weights(state, weights_sha256(network, state), (), untrained=True)
    checkpoint = read_checkpoint(path, usual_name=config.checkpoint_file)
    _check_file_hash(path, config)
    check_fits(checkpoint, network, choice.model)
    state = {name: value.to(torch.float32).contiguous() for name, value in checkpoint.state.items()}
    return Weights(
        state,
        weights_sha256(network, state),
        _trained_on(config, checkpoint),
        checkpoint.trained_subjects,
    )


def _check_file_hash(path: Path, config: ModelConfig) -> None:
    expected = config.checkpoint_sha256
    found = file_sha256(path) if expected else None
    if found != expected:
        raise CheckpointError(
            "the weights file is not the one this model declares",
            where=str(path),
            got=f"sha256 {found}",
            expected=f"sha256 {expected}",
            remedy="get the declared file, or remove checkpoint_sha256 from the model YAML",
        )


def _trained_on(config: ModelConfig, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Datasets of the YAML, then those of the checkpoint's own metadata, each once."""
    return tuple(dict.fromkeys((*config.trained_on, *checkpoint.trained_on)))


def weights_sha256(network: NetworkConfig, state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (hex) of configuration and tensors; float32 tensors, in any order."""
    digest = hashlib.sha256(canonical_json(network.model_dump(mode="json")).encode())
    for name in sorted(state):
        digest.update(f"\n{name} {list(state[name].shape)}\n".encode())
        values = state[name].detach().cpu().contiguous().numpy()
        digest.update(np.ascontiguousarray(values, dtype="<f4").data)
    return digest.hexdigest()


def draw_weights(network: NetworkConfig, seed: int) -> State:
    """Untrained weights, the same bits on every machine.

    Linear and convolution: uniform in +-1/sqrt(fan in), weight and bias, where fan in counts the
    weight's entries per index of its first axis; embeddings and the positional encoding: standard
    normal (twelve uniforms summed); normalisations: 1 and 0; absolute and relative positions: 0.
    """
    state: State = {}
    for prefix, module in empty_network(network).named_modules():
        own = dict(module.named_parameters(recurse=False))
        own.update(module.named_buffers(recurse=False))
        for name, tensor in own.items():
            full = f"{prefix}.{name}" if prefix else name
            if full in ("pixel_mean", "pixel_std"):
                continue
            values = _draw(module, name, tuple(tensor.shape), _stream(seed, full))
            state[full] = torch.from_numpy(values)
    return state


def _stream(seed: int, name: str) -> np.random.PCG64:
    digest = hashlib.sha256(f"samscope weights|{seed}|{name}".encode()).digest()
    return np.random.PCG64(int.from_bytes(digest[:16], "little"))


def _draw(
    module: Any, name: str, shape: tuple[int, ...], stream: np.random.PCG64
) -> NDArray[np.float32]:
    if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
        bound = 1 / math.sqrt(module.weight.shape[1:].numel())
        return _as_float32(bound * (2 * _uniforms(stream, shape) - 1))
    if isinstance(module, torch.nn.Embedding) or name == "positional_encoding_gaussian_matrix":
        return _as_float32(_uniforms(stream, (12, *shape)).sum(axis=0) - 6)
    if name in ("pos_embed", "rel_pos_h", "rel_pos_w"):
        return np.zeros(shape, np.float32)
    if "norm" in type(module).__name__.lower():
        return np.full(shape, 1.0 if name == "weight" else 0.0, np.float32)
    raise SamscopeError(
        "there is no rule to draw untrained weights of this kind",
        got=f"{type(module).__name__}.{name}",
        remedy="give a checkpoint, or add a rule beside the others in engine/models/weights.py",
    )


def _uniforms(stream: np.random.PCG64, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Multiples of 2^-24 in [0, 1): every sum and product below is exact or rounded once."""
    raw = np.asarray(stream.random_raw(math.prod(shape)), dtype=np.uint64)
    return (raw >> np.uint64(40)).astype(np.float64).reshape(shape) * 2.0**-24


def _as_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
