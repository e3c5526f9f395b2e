"""MedSAM: its own input and output rules, and that the contract holds for so different a model."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import MINIATURE, as_rgb, chosen, random_prompts, smooth_image, write_yaml
from oracles import medsam as oracle

from engine.errors import CheckpointError, UserError
from engine.models import describe, load_model
from engine.models.base import SINGLE
from engine.models.medsam import MedSamModel
from engine.models.preprocessing_medsam import medsam_input, stretch, to_square
from engine.models.sam import SamModel
from engine.prompts.base import Box, Point, Prompt
from engine.study import EverythingParams


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MedSamModel:
    folder = tmp_path_factory.mktemp("medsam")
    yaml = write_yaml(folder / "medsam_tiny.yaml", {"kind": "medsam", "network": "tiny"})
    loaded = load_model(chosen(yaml))
    assert isinstance(loaded, MedSamModel)
    return loaded


@pytest.fixture(scope="module")
def steep(model: MedSamModel) -> MedSamModel:
    """Steep logits, as trained ones are: enlarging them or their sigmoid makes a difference."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        for mlp in network.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight *= 200
    return MedSamModel(model.card, network, model.numerics, model.device)


@pytest.mark.parametrize("shape", [(300, 200), (61, 97, 3), (256, 256), (1, 50)], ids=str)
def test_masks_equal_the_straight_line(steep: MedSamModel, shape: tuple[int, ...]) -> None:
    image, (height, width), model = smooth_image(shape), shape[:2], steep
    embedding = model.embed([image])[0]
    prompts = random_prompts(np.random.default_rng(0), 6, 0, True, height, width)
    found = model.decode(embedding, prompts)
    assert found.masks.shape == (6, 1, height, width)
    assert found.masks.any()
    assert not found.masks.all()
    for prompt, mask, iou in zip(prompts, found.masks, found.predicted_iou, strict=True):
        assert prompt.box is not None
        box = (prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1)
        expected, estimate = oracle.segment(
            model.network, embedding.features.embedding, box, height, width
        )
        # float32 against float64: a pixel at one half to seven digits may differ.
        assert (mask[0] != expected).mean() <= 1e-3
        assert iou[0] == pytest.approx(estimate, abs=1e-4)


def test_masks_that_stay_on_the_device_are_the_same(steep: MedSamModel) -> None:
    staying = MedSamModel(steep.card, steep.network, steep.numerics, steep.device, on_device=True)
    embedding = steep.embed([smooth_image((61, 97))])[0]
    prompts = random_prompts(np.random.default_rng(0), 3, 0, True, 61, 97)
    here, there = (model.decode(embedding, prompts) for model in (steep, staying))
    assert isinstance(here.masks, np.ndarray)
    assert isinstance(there.masks, torch.Tensor)
    assert np.array_equal(here.masks, there.masks.numpy())


@pytest.mark.parametrize("shape", [(300, 200), (61, 97, 3), (64, 64), (129, 40)], ids=str)
def test_input_equals_scikit_image(shape: tuple[int, ...]) -> None:
    image = smooth_image(shape)
    found = medsam_input(image, 64, torch.device("cpu")).permute(1, 2, 0).numpy()
    expected = oracle.square_image(as_rgb(image), 64)
    # Truncation to whole levels may fall on either side of an integer.
    assert np.abs(found - expected).max() <= 1.001 / 200
    assert (np.abs(found - expected) > 1e-6).mean() < 0.02
    assert (found.min(), found.max()) == (0, 1)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(8, 48), st.integers(0, 5))
def test_stretch_equals_scikit_image_before_truncation(
    height: int, width: int, size: int, seed: int
) -> None:
    import skimage.transform

    plane = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    expected = skimage.transform.resize(
        plane, (size, size), order=3, preserve_range=True, anti_aliasing=True, clip=False
    )
    assert np.allclose(stretch(plane, size), expected, atol=1e-9)


def test_a_constant_slice_becomes_zeros() -> None:
    found = medsam_input(np.full((9, 7), 200, np.uint8), 32, torch.device("cpu"))
    assert found.abs().max() == 0


def test_boxes_scale_per_axis() -> None:
    assert to_square([[10, 20, 99, 199]], height=200, width=100, input_size=1000).tolist() == [
        [100, 100, 990, 995]
    ]


def test_its_input_differs_from_sams(model: MedSamModel, tiny: SamModel) -> None:
    """Same weights, other preprocessing: the embeddings must not agree."""
    image = smooth_image((100, 150))
    assert model.card.weights_sha256 == tiny.card.weights_sha256
    assert model.card.preprocessing != tiny.card.preprocessing
    assert not torch.allclose(
        model.embed([image])[0].features.embedding,
        tiny.embed([image])[0].features.embedding,
        atol=0.1,
    )


def test_slices_of_a_batch_are_embedded_as_if_alone(model: MedSamModel) -> None:
    images = [smooth_image(shape, seed) for seed, shape in enumerate([(40, 60), (64, 64), (9, 80)])]
    numerics = replace(model.numerics, encode_batch=2)
    paired = MedSamModel(model.card, model.network, numerics, model.device)
    for image, together in zip(images, paired.embed(images), strict=True):
        (alone,) = paired.embed([image])
        assert torch.equal(alone.features.embedding, together.features.embedding)
        assert (together.height, together.width) == image.shape
        frame = medsam_input(image, model.card.input_size, model.device)[None]
        with torch.inference_mode():
            expected = model.network.image_encoder(frame)[0]
        apart = (together.features.embedding - expected).abs().max() / expected.abs().max()
        assert apart < 1e-5


def test_card(model: MedSamModel) -> None:
    card = model.card
    assert card.candidates == (SINGLE,)
    assert (card.capabilities.points, card.capabilities.boxes) == (False, True)
    assert not card.capabilities.multimask
    assert not card.capabilities.everything
    assert card.architecture == "medsam_tiny"


def test_what_it_cannot_do_is_refused(model: MedSamModel) -> None:
    embedding = model.embed([smooth_image((32, 32))])[0]
    point = (Point(3, 3, True),)
    with pytest.raises(ValueError, match="boxes only"):
        model.decode(embedding, [Prompt(point, Box(1, 1, 9, 9))])
    with pytest.raises(ValueError, match="boxes only"):
        model.decode(embedding, [Prompt(point)])
    with pytest.raises(ValueError, match="cannot share"):
        model.decode(embedding, [])
    with pytest.raises(UserError, match="cannot segment everything"):
        model.everything(embedding, EverythingParams())


def test_reads_a_plain_state_dict(model: MedSamModel, tmp_path: Path) -> None:
    path = tmp_path / "medsam_vit_b.pth"
    torch.save(model.network.state_dict(), path)
    yaml = write_yaml(
        tmp_path / "m.yaml", {"kind": "medsam", "network": "tiny", "trained_on": ["a", "b"]}
    )
    card = describe(chosen(yaml, checkpoint=str(path)))
    assert card.weights_sha256 == model.card.weights_sha256
    assert card.trained_on == ("a", "b")
    assert model.card.trained_on == ()
    with pytest.raises(CheckpointError, match="does not fit"):
        describe(chosen("medsam", checkpoint=str(path)))


def test_its_network_must_be_a_sam(tmp_path: Path) -> None:
    yaml = write_yaml(tmp_path / "m.yaml", {"kind": "medsam", "network": "fake"})
    with pytest.raises(UserError, match="shape of a SAM"):
        describe(chosen(yaml))
    own = write_yaml(tmp_path / "own.yaml", {"kind": "sam", "network": MINIATURE})
    small = write_yaml(tmp_path / "n.yaml", {"kind": "medsam", "network": own})
    assert describe(chosen(small)).input_size == 64
