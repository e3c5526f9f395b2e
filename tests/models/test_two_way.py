"""The transformer that shares a slice's work, against segment_anything's own."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import TwoWayTransformer

from engine.models.two_way import absorbs, attend, share

SIDE = 6


def transformer(width: int, heads: int, depth: int) -> TwoWayTransformer:
    torch.manual_seed(0)
    made = TwoWayTransformer(depth=depth, embedding_dim=width, num_heads=heads, mlp_dim=64)
    with torch.no_grad():
        for value in made.parameters():
            value.copy_(
                torch.randn_like(value) * (0.5 if value.ndim == 1 else value.shape[1] ** -0.5)
            )
    return made.eval()


@pytest.mark.parametrize(
    ("width", "heads", "tokens", "absorbed"),
    [(32, 2, 7, True), (32, 2, 8, True), (32, 2, 9, False), (64, 8, 16, False), (256, 8, 16, True)],
)
@pytest.mark.parametrize("depth", [1, 2, 3])
@torch.inference_mode()
def test_equals_the_library(
    width: int, heads: int, tokens: int, absorbed: bool, depth: int
) -> None:
    net = transformer(width, heads, depth)
    generator = torch.Generator().manual_seed(1)
    image = torch.randn((width, SIDE, SIDE), generator=generator)
    position = torch.randn((width, SIDE, SIDE), generator=generator)
    asked = torch.randn((5, tokens, width), generator=generator)
    expected, expected_image = net(
        image.expand(5, -1, -1, -1), position.expand(5, -1, -1, -1), asked
    )
    flat = [x.flatten(1).T.contiguous() for x in (image, position)]
    found, found_image = attend(net, share(net, *flat), asked, 4)
    assert absorbs(net.layers[0].cross_attn_image_to_token, tokens) == absorbed
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected[:, :4], rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(found_image, expected_image, rtol=1e-4, atol=2e-5)


@torch.inference_mode()
def test_prompts_do_not_see_each_other() -> None:
    net = transformer(32, 2, 2)
    image, position = torch.randn(2, SIDE * SIDE, 32, generator=torch.Generator().manual_seed(2))
    asked = torch.randn((3, 7, 32), generator=torch.Generator().manual_seed(3))
    shared = share(net, image, position)
    together, _ = attend(net, shared, asked, 7)
    for prompt in range(3):
        alone, _ = attend(net, shared, asked[prompt : prompt + 1], 7)
        torch.testing.assert_close(together[prompt : prompt + 1], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=0.1)
