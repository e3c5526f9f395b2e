"""Batches, threads and the record that says which results are comparable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_samples import one_thread

from engine.errors import UserError
from engine.identity import canonical_json
from engine.models.base import token_count
from engine.models.numerics import (
    MASK_BYTES,
    deterministic,
    deterministic_cpu,
    numerics_of,
    prompt_batches,
    torch_device,
)
from engine.prompts.base import Box, Point, Prompt

CPU = torch.device("cpu")
PROMPTS = st.builds(
    lambda n, box: Prompt((Point(1, 1, True),) * n, Box(0, 0, 1, 1) if box else None),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(PROMPTS, max_size=30), st.integers(1, 7))
def test_batches_are_a_partition_of_equal_shapes(prompts: list[Prompt], size: int) -> None:
    batches = prompt_batches(prompts, size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(prompts)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert batch == sorted(batch)
        assert len({token_count(prompts[i]) for i in batch}) == 1
        assert len({prompts[i].box is None for i in batch}) == 1


def test_batches_by_hand() -> None:
    """Groups by first appearance; equal token counts of two kinds stay apart."""
    point, box = Point(1, 1, True), Box(0, 0, 1, 1)
    two, both, one = Prompt((point, point)), Prompt((point,), box), Prompt((point,))
    prompts = [two, both, two, one, both, two, two]
    assert prompt_batches(prompts, 2) == [[0, 2], [5, 6], [1, 4], [3]]
    assert prompt_batches(prompts, 16) == [[0, 2, 5, 6], [1, 4], [3]]
    assert prompt_batches([], 4) == []
    with pytest.raises(ValueError, match="at least 1"):
        prompt_batches(prompts, 0)


def test_the_cpu_record() -> None:
    numerics = numerics_of("cpu")
    record = numerics.as_record()
    assert canonical_json(record)
    assert record["device"] == f"cpu-{torch.backends.cpu.get_cpu_capability().lower()}"
    assert record["kernels"] == f"torch-{torch.__version__}"
    assert (numerics.threads, numerics.encode_batch, numerics.everything_batch) == (1, 1, 64)


@pytest.mark.parametrize(
    ("height", "width", "batch"),
    [
        (256, 256, 16),
        (1024, 1024, 16),
        (1025, 1024, 15),
        (4096, 4096, 1),
        (20000, 20000, 1),
        (1, 1, 16),
    ],
)
def test_the_decode_batch_follows_from_the_slice(height: int, width: int, batch: int) -> None:
    found = numerics_of("cpu").decode_batch_for(height, width)
    assert found == batch
    assert found == 1 or found * 4 * height * width <= MASK_BYTES
    assert numerics_of("cpu").decode_batch_for(height, width, candidates=1) >= found


def test_one_thread_inside_and_what_was_before_outside() -> None:
    with one_thread():
        torch.set_num_threads(2)
        with deterministic(CPU):
            assert torch.get_num_threads() == 1
            assert torch.is_inference_mode_enabled()
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), deterministic(CPU):
            raise KeyError
        assert torch.get_num_threads() == 2
        assert not torch.is_inference_mode_enabled()
        deterministic_cpu()
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("device", ["gpu", "cpu:0", "cuda:x", "", "cpu:"])
def test_unknown_devices(device: str) -> None:
    with pytest.raises(UserError, match="unknown device"):
        torch_device(device)


def test_a_cuda_device_that_is_not_there() -> None:
    with pytest.raises(UserError, match="does not exist here"):
        numerics_of(f"cuda:{torch.cuda.device_count()}")
