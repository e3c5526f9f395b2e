"""The whole command: killed in the middle, and with a network of the real size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training.small import config, fields, same, timeless, trained, weights
from worlds import toy_collection

from engine.models.network import SamConfig
from engine.models.registry import read_config
from engine.models.weights import draw_weights

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1200)]


def command(folder: Path, collection: Path, out: Path, **more: Any) -> list[str]:
    path = folder / "training.yaml"
    path.write_text(yaml.safe_dump({**fields(folder), **more}))
    return [
        sys.executable, "-m", "engine", "train", str(path), "--collection", str(collection),
        "--out", str(out), "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


def started(words: list[str]) -> subprocess.Popen[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("RAY_ADDRESS", None)
    return subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)


def wait_for_steps(process: subprocess.Popen[str], out: Path, steps: int) -> None:
    while len(timeless(out)) < steps:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 1)])
def test_a_driver_stopped_in_the_middle(
    tmp_path: Path, collection: Path, number: signal.Signals, code: int
) -> None:
    """Killed or Ctrl-C, and started again at once: the curve and weights of a calm training."""
    length = {"steps": 400, "validate_every": 100}  # longer than a Ctrl-C takes to arrive
    expected = trained(config(tmp_path, **length), collection, tmp_path / "calm")
    out = tmp_path / "out"
    words = command(tmp_path, collection, out, **length)
    process = started(words)
    wait_for_steps(process, out, 30)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    if number == signal.SIGINT:
        assert "run the same command to go on" in said
    assert len(timeless(out)) < len(expected)
    again = started(words)
    _, said = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert timeless(out) == expected
    assert same(weights(out), weights(tmp_path / "calm"))
    assert not list(out.glob(".ray-*"))
    assert not list(out.glob(".*.tmp"))


def test_a_step_of_vit_b(tmp_path: Path) -> None:
    """Decoder fine-tuning at the size of the paper's network; the encoder stays to the bit."""
    collection = toy_collection(tmp_path / "toy.zarr", cases=2, slices=1)
    out = tmp_path / "out"
    model = {"name": "vit_b", "init_seed": 0}
    words = command(
        tmp_path, collection, out, kind="finetune", model=model, steps=1, validate_every=1,
        data={"validation": 0.5}, images=1,
    )  # fmt: skip
    done = started(words)
    _, said = done.communicate(timeout=1000)
    assert done.returncode == 0, said
    built = read_config("vit_b")
    assert isinstance(built, SamConfig)
    first, last = draw_weights(built.network, 0), load_file(out / "small.safetensors")
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)
