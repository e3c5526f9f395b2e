"""Masks in one step, against SAM's two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.enlarge import enlarge, flipped

from engine.errors import SamscopeError
from engine.masks import WORK_BYTES, on_host
from engine.models.enlarge import PIXEL_BYTES, Measured, enlarged_masks, enlarger, measured

SIZES = [(64, 64), (50, 33), (200, 300), (7, 64), (256, 255), (1, 40), (16, 16)]


def smooth(count: int, low: int, seed: int, shift: float = -0.5) -> torch.Tensor:
    """float32[count, low, low]: blobs, some of them empty."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((count, 1, low, low), generator=generator)
    kernel = torch.ones((1, 1, 3, 3)) / 3
    return torch.nn.functional.conv2d(noise, kernel, padding=1)[:, 0] + shift


def check(found: Measured, logits: torch.Tensor, offset: float, size: tuple[int, int]) -> int:
    large = enlarge(logits[:, None], *size, input_size=64)[:, 0].numpy()
    wrong = flipped(on_host(found.masks), large)
    slack = 1e-5 * np.ptp(large)
    for seen, at in ((found.inner, offset), (found.outer, -offset)):
        assert (seen >= (large > at + slack).sum(axis=(1, 2))).all()
        assert (seen <= (large > at - slack).sum(axis=(1, 2))).all()
    return wrong


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("shift", [-5.0, -1.2, 0.0, 5.0])
def test_one_step_is_two(size: tuple[int, int], offset: float, shift: float) -> None:
    logits = smooth(9, 16, 1, shift)
    found = measured(logits, *size, 64, offset)
    assert check(found, logits, offset, size) <= 1
    by_products = measured(logits, *size, 64, offset, on_device=True)
    assert isinstance(by_products.masks, torch.Tensor)
    assert check(by_products, logits, offset, size) <= 1


@settings(max_examples=60)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**16), st.sampled_from([3, 4, 16, 64])
)
def test_any_size(height: int, width: int, seed: int, low: int) -> None:
    if max(height, width) > 60 * min(height, width):
        return
    logits = smooth(2, low, seed, 0.0)
    large = enlarge(logits[:, None], height, width, 64)[:, 0].numpy()
    flipped(measured(logits, height, width, 64, 0.0).masks, large)


def test_a_single_logit_above_zero_is_found_wherever_it_lies() -> None:
    """What skipping rows and ends of rows could lose."""
    logits = -torch.ones((256, 16, 16)) * 0.01
    logits.view(256, 256).fill_diagonal_(100.0)
    large = enlarge(logits[:, None], 80, 64, 64)[:, 0].numpy()
    found = measured(logits, 80, 64, 64, 0.0)
    assert flipped(found.masks, large) == 0
    assert (found.inner > 0).sum() >= 200


def test_masks_follow_each_other_without_trace() -> None:
    """One scratch serves all masks of a call."""
    logits = torch.cat(
        [torch.full((1, 16, 16), 3.0), smooth(3, 16, 2, -1.0), -torch.ones(1, 16, 16)]
    )
    together = measured(logits, 40, 60, 64, 0.2)
    for place in range(len(logits)):
        alone = measured(logits[place : place + 1], 40, 60, 64, 0.2)
        assert np.array_equal(alone.masks[0], together.masks[place])
        assert alone.inner[0] == together.inner[place]
    assert together.masks[0].all()
    assert not together.masks[-1].any()


def test_nothing_gives_nothing() -> None:
    none = torch.zeros((0, 16, 16))
    assert measured(none, 30, 20, 64, 0.1).masks.shape == (0, 30, 20)
    assert measured(none, 30, 20, 64, 0.1, on_device=True).masks.shape == (0, 30, 20)
    for there in (False, True):
        stack = enlarged_masks(torch.zeros((0, 4, 16, 16)), 30, 20, 64, on_device=there)
        assert stack.shape == (0, 4, 30, 20)


def test_channels_keep_their_place() -> None:
    logits = smooth(12, 16, 4)
    masks = enlarged_masks(logits.view(3, 4, 16, 16), 40, 40, 64)
    assert np.array_equal(masks.reshape(12, 40, 40), measured(logits, 40, 40, 64, 0.0).masks)


def test_more_masks_than_a_piece_holds_on_a_device() -> None:
    """A thousand pixels a side: 16 masks a piece."""
    logits = smooth(40, 16, 5)
    size = (1000, 1024)
    assert 40 * 1000 * 1024 * PIXEL_BYTES > 2 * WORK_BYTES
    found = measured(logits, *size, 64, 0.2, on_device=True)
    assert check(found, logits, 0.2, size) <= 40
    assert found.inner.shape == found.outer.shape == (40,)


def test_networks_with_logits_finer_than_pixels_are_refused() -> None:
    """Three taps would be too few: a mask must not be made of some of what a pixel sees."""
    with pytest.raises(SamscopeError, match="cannot be enlarged"):
        enlarger(60, 60, input_size=16, low=64)
    assert enlarger(60, 60, input_size=16, low=16).rows.weights.shape == (3, 60)
