"""Memory is projected before it is needed: never less than what is held then, nor absurdly more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import engine.models.everything
from engine.models import load_model
from engine.models.memory import Projection, Workload, project
from engine.models.network import NetworkConfig
from engine.models.numerics import Numerics, numerics_of, out_of_memory
from engine.models.registry import describe, request
from engine.study import EverythingParams, ModelChoice, Precision

ROOT = Path(__file__).resolve().parents[2]


def measured(model: str, what: str, side: int, precision: str) -> int:
    """Peak bytes of a fresh process that does the work."""
    child = [sys.executable, str(Path(__file__).parent / "memory_child.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*child, model, what, str(side), precision],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def projection(model: str, what: str, side: int, precision: Precision) -> Projection:
    choice = ModelChoice(name=model)
    numerics, network = numerics_of("cpu", precision), request(choice).config.network
    work = Workload([(side, side)], 11 if what == "prompts" else 0, what == "everything")
    return project(network, describe(choice).parameters, numerics, work)


CASES = [("prompts", 512), ("prompts", 1500), ("everything", 512)]


@pytest.mark.parametrize(("what", "side"), CASES)
def test_no_more_is_held_than_projected(what: str, side: int) -> None:
    there = projection("tiny", what, side, "float32").total
    assert there / 2 < measured("tiny", what, side, "float32") <= there


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("what", "side"), CASES)
def test_nor_by_a_model_of_full_size(what: str, side: int, precision: Precision) -> None:
    there = projection("vit_b", what, side, precision).total
    assert there / 3 < measured("vit_b", what, side, precision) <= there


def test_a_projection_grows_with_the_work() -> None:
    network: NetworkConfig = request(ModelChoice(name="vit_b")).config.network
    numerics = numerics_of("cpu")

    def needs(tokens: int, by: Numerics = numerics, *, everything: bool = False) -> Projection:
        return project(network, 10**8, by, Workload([(512, 512)], tokens, everything))

    small = needs(2)
    assert small.everything == 0
    assert small.decode < needs(50).decode
    assert needs(0).decode == 0
    many = replace(numerics, encode_batch=8, everything_batch=128)
    large = needs(0, many, everything=True)
    assert large.encode == pytest.approx(8 * small.encode, rel=1e-6)
    assert large.total > small.total
    assert needs(0, replace(numerics, dtype="bfloat16")).weights == 6 * 10**8
    assert "reserved 1,280 MiB, weights 381 MiB" in str(small)


def test_small_slices_may_need_more_than_large_ones() -> None:
    """Of them more prompts go through the decoder at once."""
    network: NetworkConfig = request(ModelChoice(name="vit_b")).config.network
    numerics = replace(numerics_of("cpu"), decode_batch=64)
    small, large = (512, 512), (4000, 4000)

    def decode(*sizes: tuple[int, int]) -> int:
        return project(network, 10**8, numerics, Workload(sizes, 2, everything=False)).decode

    assert numerics.decode_batch_for(*small) == 64
    assert numerics.decode_batch_for(*large) == 1
    assert decode(small) > decode(large)
    assert decode(large, small) == decode(small, large) == decode(small)


def test_models_of_one_evaluator_take_turns() -> None:
    one, other = Projection(10, 100, 5, 0, 1), Projection(20, 50, 60, 7, 2)
    both = one.beside(other)
    assert both == Projection(30, 100, 60, 7, 2)
    assert both.total == 2 + 30 + 100


def scarce(limit: int, real: Callable[..., object]) -> Callable[..., object]:
    """`attend` with room for so many prompts."""

    def attend(self: object, features: object, prompts: object) -> object:
        coords = prompts.coords  # type: ignore[attr-defined]
        if len(coords) > limit:
            raise torch.OutOfMemoryError(f"no room for {len(coords)}")
        return real(self, features, prompts)

    return attend


def test_everything_goes_on_in_smaller_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(ModelChoice(name="tiny"))
    image = np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8)
    embedding = model.embed([image])[0]
    params = EverythingParams(
        points_per_side=5, pred_iou_thresh=-10, stability_score_thresh=0, box_nms_thresh=0.9
    )
    whole = model.everything(embedding, params)
    assert not whole.smaller_batch
    decoder = engine.models.everything.PromptDecoder
    monkeypatch.setattr(decoder, "attend", scarce(7, decoder.attend))
    found = model.everything(embedding, params)
    assert found.smaller_batch
    assert len(found) == len(whole)
    assert np.array_equal(found.points, whole.points)
    np.testing.assert_allclose(found.predicted_iou, whole.predicted_iou, atol=1e-4)
    monkeypatch.setattr(decoder, "attend", scarce(0, decoder.attend))
    with pytest.raises(torch.OutOfMemoryError, match="no room for 1"):
        model.everything(embedding, params)


def test_what_counts_as_a_lack_of_memory() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert out_of_memory(caught.value)
