"""What a training file means, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from training.small import config, fields

from engine.configuration import load_yaml
from engine.errors import UserError
from engine.training.config import TrainingConfig
from engine.training.samples import population_of


def read(folder: Path, **more: Any) -> TrainingConfig:
    path = folder / "training.yaml"
    path.write_text(yaml.safe_dump({**fields(folder), **more}))
    return load_yaml(path, TrainingConfig, "training")


def test_finetuning_is_the_protocols() -> None:
    how = TrainingConfig.model_validate({"name": "a", "kind": "finetune", "model": "vit_b"})
    assert (how.epochs, how.images, how.learns, how.kindled) == (20, 2, "decoder", False)
    assert (how.optimiser.lr, how.optimiser.weight_decay) == (1e-4, 0.01)
    assert how.optimiser.final_lr == how.optimiser.lr
    assert how.loss.kind == "dice_ce"
    assert how.prompts.strategies == {"box": 1}
    assert (how.prompts.jittered, how.prompts.random_points, how.variation.none) == (0, 0, True)
    assert how.encodes_once


def test_pretraining_learns_everything_and_needs_a_length() -> None:
    how = TrainingConfig.model_validate(
        {"name": "a", "kind": "pretrain", "model": "tiny", "steps": 3}
    )
    assert (how.learns, how.kindled, how.loss.kind, how.loss.tokens) == (
        "all", True, "focal_dice", "all",
    )  # fmt: skip
    assert not how.encodes_once
    with pytest.raises(ValueError, match="either steps or epochs"):
        TrainingConfig.model_validate({"name": "a", "kind": "pretrain", "model": "tiny"})


def test_a_field_replaces_its_default_and_leaves_the_others(tmp_path: Path) -> None:
    how = config(tmp_path, prompts={"strategies": {"box": 1}}, optimiser={"lr": 0.5})
    assert how.prompts.strategies == {"box": 1}
    assert how.prompts.jitter_px == 12
    assert (how.optimiser.lr, how.optimiser.warmup_steps) == (0.5, 100)
    assert TrainingConfig.model_validate(how.model_dump(mode="json")) == how


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"stepps": 3}, "did you mean 'steps'"),
        ({"kind": "fintune"}, "did you mean 'finetune'"),
        ({"prompts": {"strategies": {"bos": 1}}}, "no prompted strategy; did you mean 'box'?"),
        ({"prompts": {"strategies": {"everything": 1}}}, "no prompted strategy"),
        ({"prompts": {"strategies": {"box": 0}}}, "must be positive"),
        ({"data": {"validation": 0.5, "test": 0.5}}, "leave subjects to train on"),
        ({"data": {"validaton": 0.5}}, "did you mean 'validation'"),
        ({"loss": {"kind": "dice"}}, "focal_dice"),
        ({"epochs": 2}, "either steps or epochs"),
        ({"optimiser": {"lr": 0}}, "more than 0"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, **more)
    assert words in str(caught.value)


def test_the_collections_words_are_checked(tmp_path: Path, collection: Path) -> None:
    for data, words in (
        ({"modalities": ["CTT"]}, "did you mean 'CT'"),
        ({"without_modalities": ["MRI"]}, "no modality 'MRI'"),
        ({"without_modalities": ["CT"]}, "selects no slice"),
        ({"datasets": ["toi"]}, "toy"),
    ):
        with pytest.raises(UserError) as caught:
            population_of(config(tmp_path, data=data), collection)
        assert words in str(caught.value)


def test_identity_is_what_decides_the_weights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    how = config(tmp_path / "a")
    assert how.identity("d", "w") == config(tmp_path / "a").identity("d", "w")
    others = [config(tmp_path / "a", seed=1), config(tmp_path / "a", images=3)]
    mine, theirs = how.identity("d", "w"), [other.identity("d", "w") for other in others]
    assert len({mine, how.identity("e", "w"), *theirs}) == 4
    moved = config(tmp_path / "b")
    assert moved.identity("d", "w") == how.identity("d", "w") != how.identity("d", "v")
