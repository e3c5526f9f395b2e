"""Muon for matrices, AdamW for the rest, and both go on where they stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training.small import CPU, config

from engine.training.config import Optimiser
from engine.training.network import Trainee
from engine.training.optimiser import Optimisers

LR = 0.01


def pair(kind: str) -> tuple[torch.nn.Module, Optimisers]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.LayerNorm(4))
    how = Optimiser.model_validate({"kind": kind, "lr": LR, "final_lr": LR, "weight_decay": 0})
    return network, Optimisers(network, list(network.parameters()), how)


def walk(network: torch.nn.Module, optimisers: Optimisers, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        torch.manual_seed(step)
        optimisers.zero_grad()
        (network(torch.randn(5, 6)) ** 3).sum().backward()
        optimisers.step(LR)


def test_every_parameter_has_one_optimiser(tmp_path: Path) -> None:
    trainee = Trainee(config(tmp_path), CPU.device)
    how = Optimiser.model_validate({"kind": "muon", "lr": LR, "final_lr": LR})
    muon, adamw = Optimisers(trainee.network, trainee.parameters, how).parts
    inner = [p for group in muon.param_groups for p in group["params"]]
    rest = [p for group in adamw.param_groups for p in group["params"]]
    assert {*inner, *rest} == set(trainee.parameters)
    assert len(inner) + len(rest) == len(trainee.parameters)
    assert any(p is trainee.network.image_encoder.blocks[0].attn.qkv.weight for p in inner)
    tokens = trainee.network.mask_decoder.mask_tokens.weight
    assert any(p is tokens for p in rest)


def test_muon_steps_are_nearly_orthogonal_and_as_long_as_adamws() -> None:
    """All singular values of a step lie near one length; its root mean square is about 0.2 lr."""
    network = torch.nn.Linear(64, 32, bias=False)
    how = Optimiser.model_validate({"kind": "muon", "lr": LR, "final_lr": LR, "weight_decay": 0})
    before = network.weight.detach().clone()
    network.weight.grad = torch.randn(32, 64) * torch.logspace(0, -1, 64)
    Optimisers(network, list(network.parameters()), how).step(LR)
    change = network.weight.detach() - before
    values = torch.linalg.svdvals(change)
    assert values.max() / values.min() < 2
    assert change.square().mean().sqrt() == pytest.approx(0.2 * LR, rel=0.2)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_restored_optimiser_goes_on(kind: str) -> None:
    whole, optimisers = pair(kind)
    walk(whole, optimisers, 5)
    first, begun = pair(kind)
    walk(first, begun, 2)
    second, restored = pair(kind)
    second.load_state_dict(first.state_dict())
    restored.load_state_dict(begun.state_dict())
    walk(second, restored, 3, first=2)
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_adamw_alone_is_torchs() -> None:
    network, optimisers = pair("adamw")
    twin, _ = pair("adamw")
    theirs = torch.optim.AdamW(twin.parameters(), lr=LR, weight_decay=0, betas=(0.9, 0.98))
    walk(network, optimisers, 3)
    for step in range(3):
        torch.manual_seed(step)
        theirs.zero_grad()
        (twin(torch.randn(5, 6)) ** 3).sum().backward()
        theirs.step()
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_kind_is_refused() -> None:
    _, one = pair("adamw")
    _, two = pair("muon")
    with pytest.raises(ValueError, match="size of optimizer"):
        two.load_state_dict(one.state_dict())
