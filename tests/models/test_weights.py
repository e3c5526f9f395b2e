"""Untrained weights: the same everywhere, drawn as documented, deaf to the global generator."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from model_samples import chosen, miniature

from engine.models import describe, load_model
from engine.models.network import NetworkConfig, filled_network
from engine.models.sam import SamModel
from engine.models.weights import draw_weights, weights_sha256

GOLDEN = {
    ("tiny", 0): "0a5d2a3a3b624ac4ba8e35eff13cc687136a4796380d9517aa09d7e2ccfb6e82",
    ("tiny", 1): "59ad169045c9a67802e9d067b024cbfde2727d2a4f237f8388842058d9027557",
}


@pytest.mark.parametrize(("model", "seed"), GOLDEN)
def test_hashes_are_pinned(model: str, seed: int) -> None:
    """A change here changes the identity of every stored result of an untrained model."""
    assert describe(chosen(model, init_seed=seed)).weights_sha256 == GOLDEN[model, seed]


def test_the_global_generators_are_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    first = weights_sha256(miniature(), draw_weights(miniature(), 0))
    torch.manual_seed(2)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    load_model(chosen("tiny"))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert weights_sha256(miniature(), draw_weights(miniature(), 0)) == first


def test_the_network_holds_exactly_the_hashed_weights(tiny: SamModel) -> None:
    config = NetworkConfig.model_validate(
        {
            "input_size": 256,
            "encoder": {"width": 160, "depth": 6, "heads": 5, "global_blocks": [2, 5], "window": 8},
            "decoder": {"width": 128, "mlp_width": 512, "iou_width": 128},
        }
    )
    assert weights_sha256(config, tiny.network.state_dict()) == tiny.card.weights_sha256
    assert not any(p.is_meta for p in tiny.network.parameters())
    assert not any(b.is_meta for b in tiny.network.buffers())


def test_any_weight_and_any_setting_moves_the_hash() -> None:
    config, state = miniature(), draw_weights(miniature(), 0)
    original = weights_sha256(config, state)
    assert weights_sha256(config, dict(reversed(state.items()))) == original
    name = "mask_decoder.iou_token.weight"
    nudged = {**state, name: torch.nextafter(state[name], torch.tensor(9.0))}
    heads = config.model_copy(update={"encoder": config.encoder.model_copy(update={"heads": 4})})
    assert len({original, weights_sha256(config, nudged), weights_sha256(heads, state)}) == 3


def test_draws_follow_the_documented_distributions(tiny: SamModel) -> None:
    """The distributions torch would use, module by module, checked by their moments."""
    linear = tiny.network.image_encoder.blocks[0].mlp.lin1.weight
    bound = 1 / math.sqrt(160)
    assert linear.abs().max() <= bound
    assert linear.abs().max() > 0.999 * bound
    assert linear.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    encoding = tiny.network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    tokens = tiny.network.mask_decoder.mask_tokens.weight
    normal = torch.cat([encoding.flatten(), tokens.detach().flatten()])
    assert normal.std().item() == pytest.approx(1, rel=0.1)
    assert normal.abs().max() > 2
    assert tiny.network.image_encoder.pos_embed.abs().max() == 0
    assert (tiny.network.image_encoder.blocks[0].norm1.weight == 1).all()
    assert (tiny.network.image_encoder.neck[1].bias == 0).all()


def test_same_moments_as_torchs_own_initialisation() -> None:
    """Every tensor's spread agrees with the library's constructor."""
    from segment_anything.modeling import MaskDecoder, TwoWayTransformer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        library = MaskDecoder(
            transformer_dim=128,
            transformer=TwoWayTransformer(depth=2, embedding_dim=128, mlp_dim=512, num_heads=8),
            iou_head_hidden_dim=128,
        ).state_dict()
    config = NetworkConfig.model_validate(
        {
            "input_size": 64,
            "encoder": {"width": 8, "depth": 1, "heads": 1},
            "decoder": {"width": 128, "mlp_width": 512, "iou_width": 128},
        }
    )
    own = draw_weights(config, 0)
    for name, expected in library.items():
        found = own[f"mask_decoder.{name}"]
        if expected.numel() > 2000:
            assert found.std().item() == pytest.approx(expected.std().item(), rel=0.05), name
        else:
            assert (found.std(unbiased=False) == 0) == (expected.std(unbiased=False) == 0), name


def test_weights_are_trainable() -> None:
    network = filled_network(miniature(), draw_weights(miniature(), 0), torch.device("cpu"))
    assert all(p.requires_grad for p in network.parameters())
    network([{"image": torch.zeros(3, 64, 64), "original_size": (64, 64)}], multimask_output=True)
