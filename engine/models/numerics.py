"""What decides a result's last bits: device, dtype, kernels and batch shapes.

Floating-point sums depend on the number of threads and on the shape of a batch (about 1e-4 in
logits), so both are fixed here and recorded in a result's identity (protocol, "Numerics" in the
design). Nothing here depends on the machine's memory, load or number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from engine.errors import UserError
from engine.prompts.base import Prompt
from engine.study import Precision

MASK_BYTES = 64 * 1024 * 1024
"""Most bytes of returned boolean masks one decoder batch may hold."""


@dataclass(frozen=True, slots=True)
class Numerics:
    """The record within which results are bit-identical; part of every identity.

    Attributes:
        device: device class, e.g. `cpu-avx2` or `cuda-NVIDIA-H200`.
        dtype: of products and attention; norms, residuals and what leaves a model are float32.
        kernels: library and version that computes it.
        threads: intra-operation threads; 1 on a CPU.
        encode_batch: slices per encoder pass; a shorter batch is padded to it.
        decode_batch: most prompts per decoder pass (see `decode_batch_for`).
        everything_batch: grid points per decoder pass of Everything.
        mask_bytes: bound of `decode_batch_for`.
    """

    device: str
    dtype: str
    kernels: str
    threads: int
    encode_batch: int
    decode_batch: int
    everything_batch: int
    mask_bytes: int = MASK_BYTES

    def as_record(self) -> dict[str, Any]:
        """Plain values, to be hashed into identities and shown in `runs`."""
        return asdict(self)

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch knows it."""
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32

    @property
    def on_gpu(self) -> bool:
        """Whether the device computes beside the CPU."""
        return self.device.startswith("cuda")

    def decode_batch_for(self, height: int, width: int, candidates: int = 4) -> int:
        """Prompts per decoder pass for a slice of `height` x `width` pixels; at least 1.

        The rule: as many as fit `mask_bytes` of boolean masks, at most `decode_batch`. It looks
        at the slice alone, so every machine cuts a slice's prompts at the same places.
        """
        per_prompt = candidates * height * width
        return max(1, min(self.decode_batch, self.mask_bytes // per_prompt))


def numerics_of(device: str, precision: Precision = "auto") -> Numerics:
    """The numerics of `cpu`, `cuda` or `cuda:N` at a study's precision.

    Raises:
        UserError: unknown device, or CUDA asked for where there is none.
    """
    where = torch_device(device)
    kernels = f"torch-{torch.__version__}"
    if where.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability().lower()
        dtype = "float32" if precision == "auto" else precision
        return Numerics(f"cpu-{capability}", dtype, kernels, 1, 1, 16, 64)
    name = torch.cuda.get_device_name(where).replace(" ", "-")
    dtype = "bfloat16" if precision == "auto" else precision
    return Numerics(f"cuda-{name}", dtype, kernels, 1, 8, 64, 64)


def torch_device(device: str) -> torch.device:
    """`device` as torch knows it.

    Raises:
        UserError: not `cpu`, `cuda` or `cuda:N`, or no such device here.
    """
    kind, _, index = device.partition(":")
    if device not in ("cpu", "cuda") and not (kind == "cuda" and index.isdigit()):
        raise UserError("unknown device", got=device, expected="cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            "this CUDA device does not exist here",
            got=device,
            expected=f"one of {torch.cuda.device_count()} CUDA device(s)",
            remedy="choose device: cpu, or install a driver and a CUDA build of torch",
        )
    return torch.device("cpu") if kind == "cpu" else torch.device("cuda", int(index or 0))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Inference with one CPU thread, or on CUDA without TF32 and autotuning; restores all.

    The models enter it themselves, so no caller can forget. Inter-operation threads stay as they
    are: eager inference never uses them, and torch lets them be set only once per process.
    """
    threads = torch.get_num_threads()
    cudnn = torch.backends.cudnn
    try:
        if device.type == "cpu" and threads != 1:
            torch.set_num_threads(1)
        with (
            cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            torch.inference_mode(),
        ):
            yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def products_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Within it, products and attention of float32 tensors are computed in `dtype`.

    Norms and sums with a float32 tensor stay in float32. Nothing changes for float32.
    """
    lower = dtype != torch.float32
    return torch.autocast(device.type, dtype if lower else None, enabled=lower)


def out_of_memory(problem: BaseException) -> bool:
    """Whether a device, or the host, had no memory for what was asked of it."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(problem, RuntimeError) and "can't allocate memory" in str(problem)


def deterministic_cpu() -> None:
    """Give this process one CPU thread for good: what a worker calls once at its start."""
    torch.set_num_threads(1)


def prompt_batches(prompts: Sequence[Prompt], decode_batch: int) -> list[list[int]]:
    """Indices of `prompts` cut into batches one decoder pass can take.

    Prompts with the same number of points and the same use of a box form a group; groups stand
    in the order of their first prompt, prompts in the order given, and each group is cut every
    `decode_batch`. The caller gives the prompts of one strategy on one slice: the cut is then the
    same for any order of work, and a replay finds it again.

    Raises:
        ValueError: `decode_batch` below 1.
    """
    if decode_batch < 1:
        raise ValueError(f"decode_batch must be at least 1, got {decode_batch}")
    groups: dict[tuple[int, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(prompt_shape(prompt), []).append(index)
    return [
        group[start : start + decode_batch]
        for group in groups.values()
        for start in range(0, len(group), decode_batch)
    ]


def prompt_shape(prompt: Prompt) -> tuple[int, bool]:
    """(number of points, has a box): what prompts of one decoder pass must share.

    Finer than the token count: two points and a padding token are as many tokens as a box and one
    point, but SAM's prompt encoder takes the two kinds in different passes.
    """
    return len(prompt.points), prompt.box is not None
