"""The models that come with samscope: what they have seen, and that they are worth their bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.collection.intensity import to_uint8
from engine.collection.phantoms.base import subject_generator, subject_name
from engine.collection.phantoms.families import FAMILIES
from engine.commands.demo import FIRST, SPLIT, SUBJECTS
from engine.configuration import load_yaml
from engine.models import describe, load_model
from engine.models.checkpoints import read_checkpoint
from engine.models.kind import TRAINED
from engine.prompts import ObjectGeometry, Prompt
from engine.study import Intensity, ModelChoice
from engine.training.config import TrainingConfig

NAMES = ("tiny", "tiny_s")
TRAININGS = Path(__file__).parents[2] / "studies" / "training"
LARGEST_BYTES = 25 * 2**20


def test_all_shipped_weights_are_known_and_small() -> None:
    files = sorted(TRAINED.glob("*.safetensors"))
    assert [path.stem for path in files] == sorted(NAMES)
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_no_training_subject_is_in_the_demo(name: str) -> None:
    checkpoint = read_checkpoint(TRAINED / f"{name}.safetensors")
    seen = set(checkpoint.trained_subjects)
    kept = {*checkpoint.meta["subjects"]["validation"], *checkpoint.meta["subjects"]["test"]}
    assert set(checkpoint.trained_on) == {FAMILIES.get(family).dataset for family in FAMILIES}
    assert seen
    assert all(subject.partition("/")[2].startswith("train-") for subject in seen | kept)
    shown = {
        f"{FAMILIES.get(family).dataset}/{subject_name(SPLIT, number)}"
        for family in FAMILIES
        for number in range(FIRST, FIRST + SUBJECTS)
    }
    assert not seen & shown
    assert not kept & shown


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_checkpoint_says(name: str) -> None:
    card = describe(ModelChoice(name=name, model=name))
    assert not card.untrained
    assert set(card.trained_on) == {FAMILIES.get(family).dataset for family in FAMILIES}
    assert card.trained_subjects
    drawn = describe(ModelChoice(name=name, model=name, init_seed=0))
    assert drawn.untrained
    assert drawn.weights_sha256 != card.weights_sha256


@pytest.mark.parametrize("family", ["dermoscopy", "xray", "fluorescence"])
def test_tiny_finds_what_a_box_shows(family: str) -> None:
    """Held-out subjects; far below its mean, far above what untrained weights reach (0.1)."""
    model = load_model(ModelChoice(name="tiny", model="tiny"))
    shots = FAMILIES.get(family).draw(subject_generator(family, "demo-0000", 0))
    dices = []
    for shot in shots:
        low, high = float(shot.image.min()), float(shot.image.max())
        image = to_uint8(shot.image, Intensity(), low, high).image
        masks = [*shot.masks.values()]
        masks += [m == v for m in shot.instances.values() for v in np.unique(m)[1:]]
        (embedding,) = model.embed([image])
        large = [mask for mask in masks if mask.sum() > 400]
        boxes = [Prompt(box=ObjectGeometry.from_mask(mask).box) for mask in large]
        found = model.decode(embedding, boxes).masks[:, :3]
        for mask, candidates in zip(large, found, strict=True):
            tp = (candidates & mask).sum(axis=(1, 2))
            dices.append(np.max(2 * tp / (candidates.sum(axis=(1, 2)) + mask.sum())))
    assert np.mean(dices) > 0.6


def test_trained_folder_is_the_packaged_one() -> None:
    assert Path(__file__).parents[2] / "engine" / "models" / "trained" == TRAINED


@pytest.mark.parametrize("path", sorted(TRAININGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_trainings_are_valid(path: Path) -> None:
    config = load_yaml(path, TrainingConfig, "training")
    assert f"samscope train studies/training/{path.name}" in path.read_text()
    assert config.model.model in NAMES
