"""Losses against MONAI, and which token they listen to."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest
import torch

from engine.training.config import Loss
from engine.training.losses import FOCAL_WEIGHT, iou_of, mask_losses, prompt_losses


@pytest.fixture(scope="module")
def referees() -> ModuleType:
    """Imported by whoever runs these tests: it takes seconds, and warns of its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import monai.losses

    return monai.losses


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of three prompts with four tokens, their predicted IoU, and targets of bits."""
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 4, 12, 16, generator=rng)
    return (
        logits,
        torch.rand(3, 4, generator=rng),
        (torch.rand(3, 12, 16, generator=rng) < 0.3).float(),
    )


def test_dice_ce_is_monais(referees: ModuleType, drawn: tuple[torch.Tensor, ...]) -> None:
    logits, _, target = drawn
    referee = referees.DiceCELoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)
    found = mask_losses(logits, target, "dice_ce")
    for n in range(3):
        for token in range(4):
            expected = referee(logits[n, token][None, None], target[n][None, None])
            assert float(found[n, token]) == pytest.approx(float(expected), abs=1e-5)


def test_focal_is_monais(referees: ModuleType, drawn: tuple[torch.Tensor, ...]) -> None:
    logits, _, target = drawn
    focal = referees.FocalLoss(gamma=2.0, alpha=0.25)
    dice_ce = mask_losses(logits, target, "dice_ce")
    found = mask_losses(logits, target, "focal_dice")
    for n in range(3):
        for token in range(4):
            one, wanted = logits[n, token][None, None], target[n][None, None]
            cross = torch.nn.functional.binary_cross_entropy_with_logits(one, wanted)
            expected = dice_ce[n, token] - cross + FOCAL_WEIGHT * focal(one, wanted)
            assert float(found[n, token]) == pytest.approx(float(expected), abs=1e-5)


def test_the_best_of_three_learns_and_the_single_token_too(
    drawn: tuple[torch.Tensor, ...],
) -> None:
    logits, iou, target = drawn
    logits = logits.clone().requires_grad_(True)
    each = mask_losses(logits.detach(), target, "focal_dice")
    prompt_losses(logits, iou, target, Loss(kind="focal_dice")).sum().backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum((-1, -2)) > 0
    for n in range(3):
        best = 1 + int(each[n, 1:].argmin())
        assert [k for k in range(4) if moved[n, k]] == [0, best]


def test_single_ignores_the_other_tokens_and_the_iou_head(drawn: tuple[torch.Tensor, ...]) -> None:
    logits, iou, target = (
        drawn[0].clone().requires_grad_(True),
        drawn[1].requires_grad_(True),
        drawn[2],
    )
    loss = prompt_losses(logits, iou, target, Loss(kind="dice_ce", tokens="single"))
    assert torch.equal(loss.detach(), mask_losses(drawn[0], target, "dice_ce")[:, 0])
    loss.sum().backward()
    assert logits.grad is not None
    assert iou.grad is None
    assert (logits.grad[:, 0] != 0).any()
    assert (logits.grad[:, 1:] == 0).all()


def test_the_iou_head_learns_the_iou_and_gives_the_masks_no_gradient() -> None:
    target = torch.zeros(1, 4, 4)
    target[0, :2] = 1
    logits = torch.full((1, 4, 4, 4), -1.0)
    logits[0, 0, :2] = 1  # all of it
    logits[0, 1, 1:3] = 1  # half, and as much beside
    logits[0, 2] = 1  # everything
    assert iou_of(logits, target)[0].tolist() == pytest.approx([1, 1 / 3, 1 / 2, 0])
    predicted = torch.zeros(1, 4, requires_grad=True)
    prompt_losses(logits, predicted, target, Loss(kind="dice_ce")).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad[0].tolist() == pytest.approx([-1 / 2, -1 / 6, -1 / 4, 0])
