"""Names, YAML files and cards."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_samples import MINIATURE, chosen, miniature_yaml, write_yaml
from segment_anything import sam_model_registry

from engine.errors import UserError
from engine.models import describe, load_model, model_names, read_config
from engine.models.network import SamConfig, empty_network, expected_shapes
from engine.models.registry import KINDS
from engine.models.sam import SamModel

PARAMETERS = {  # trainable, counted on the library's own builders
    "vit_b": 93_735_472,
    "vit_l": 312_342_832,
    "vit_h": 641_090_608,
}


def config(name: str) -> SamConfig:
    found = read_config(name)
    assert isinstance(found, SamConfig)
    return found


def test_the_built_in_models() -> None:
    assert model_names() == ("fake", "medsam", "tiny", "tiny_s", "vit_b", "vit_h", "vit_l")
    for name in model_names():
        assert read_config(name).title


@pytest.mark.parametrize("name", PARAMETERS)
def test_official_sizes_equal_the_library(name: str) -> None:
    import torch

    with torch.device("meta"):
        library = sam_model_registry[name]()
    own = empty_network(config(name).network)
    assert {k: tuple(v.shape) for k, v in library.state_dict().items()} == expected_shapes(
        config(name).network
    )
    assert sum(p.numel() for p in own.parameters()) == PARAMETERS[name]
    blocks = [(b.window_size, b.attn.num_heads) for b in own.image_encoder.blocks]
    assert blocks == [(b.window_size, b.attn.num_heads) for b in library.image_encoder.blocks]
    assert str(own) == str(library)
    assert own.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert own.pixel_std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])


def test_tiny_is_tiny(tiny: SamModel) -> None:
    assert 2_500_000 < tiny.card.parameters < 7_000_000
    assert tiny.card.input_size == 256


def test_description_equals_the_loaded_card(tmp_path: Path) -> None:
    for model in ("tiny", "fake", miniature_yaml(tmp_path)):
        assert describe(chosen(model)) == load_model(chosen(model)).card


def test_a_yaml_file_is_a_model(tmp_path: Path) -> None:
    card = load_model(chosen(miniature_yaml(tmp_path, trained_on=["somewhere"]), init_seed=3)).card
    assert (card.name, card.architecture, card.input_size) == ("m", "miniature", 64)
    assert card.trained_on == (), "untrained weights have seen nothing"


@pytest.mark.parametrize(
    ("word", "remedy"),
    [("vit_bb", "did you mean 'vit_b'?"), ("medsan", "'medsam'"), ("qqq", "use one of: fake,")],
)
def test_unknown_names_get_the_nearest(word: str, remedy: str) -> None:
    with pytest.raises(UserError, match=f"unknown model '{word}'") as caught:
        describe(chosen(word))
    assert remedy in str(caught.value)
    assert caught.value.where == f"the study's models, '{chosen(word).name}'"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "sma", "network": MINIATURE}, "did you mean 'sam'"),
        ({"network": MINIATURE}, "kind"),
        ({"kind": "sam", "netwrok": MINIATURE}, "netwrok"),
        ({"kind": "sam", "network": {**MINIATURE, "patch_size": 24}}, "multiple of patch_size"),
        ({"kind": "sam", "network": {**MINIATURE, "input_size": 8}}, "input_size"),
        (
            {
                "kind": "sam",
                "network": {**MINIATURE, "encoder": {"width": 10, "depth": 1, "heads": 3}},
            },
            "multiple of encoder.heads",
        ),
        (
            {
                "kind": "sam",
                "network": {
                    **MINIATURE,
                    "encoder": {"width": 8, "depth": 1, "heads": 1, "global_blocks": [1]},
                },
            },
            "global_blocks must lie in 0..0",
        ),
        (
            {"kind": "sam", "network": {**MINIATURE, "decoder": {"width": 16, "heads": 3}}},
            "decoder.width",
        ),
        ({"kind": "fake", "radii": [1, 2]}, "radii"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_wrong_yaml_is_explained(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    path = write_yaml(tmp_path / "wrong.yaml", fields)
    with pytest.raises(UserError) as caught:
        describe(chosen(path))
    assert message in str(caught.value)


def test_a_missing_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the model configuration"):
        describe(chosen(str(tmp_path / "absent.yaml")))


def test_every_kind_loads_lazily_and_names_its_schema() -> None:
    assert sorted(KINDS) == ["fake", "medsam", "sam"]
    for name in KINDS:
        assert name in str(KINDS.get(name).schema.model_fields["kind"].annotation)
