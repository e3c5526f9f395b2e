"""SamModel against SamPredictor: equal but for pixels whose logit is 0 up to rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_samples import as_rgb, chosen, one_thread, random_prompts, smooth_image
from numpy.typing import NDArray
from oracles.enlarge import flipped
from segment_anything import SamPredictor

from engine.errors import UserError
from engine.models import load_model
from engine.models.base import Image
from engine.models.decoding import prompt_tensors
from engine.models.sam import SamModel
from engine.prompts.base import Box, Point, Prompt

SHAPES = [(256, 256), (300, 200), (37, 401), (512, 512), (700, 500, 3)]
KINDS = {  # points, box
    "point_1": (1, False),
    "point_5": (5, False),
    "point_5_neg_5": (10, False),
    "box": (0, True),
    "box_point_1": (1, True),
    "box_point_6": (6, True),
}


def predictor_of(model: SamModel, image: Image) -> SamPredictor:
    predictor = SamPredictor(model.network)
    predictor.set_image(as_rgb(image))
    return predictor


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_sam_predictor(tiny: SamModel, shape: tuple[int, ...]) -> None:
    image, rng = smooth_image(shape), np.random.default_rng(1)
    embedding = tiny.embed([image])[0]
    with one_thread():
        predictor = predictor_of(tiny, image)
        features = predictor.features[0]
        apart = (features - embedding.features.embedding).abs().max() / features.abs().max()
        assert apart < 1e-5
        for n, (points, box) in zip((1, 2, 3, 5, 8, 16), KINDS.values(), strict=True):
            prompts = random_prompts(rng, n, points, box, *shape[:2])
            found = tiny.decode(embedding, prompts)
            logits, iou = by_predictor(predictor, prompts, *shape[:2])
            assert flipped(found.masks, logits) <= 3 + found.masks.size // 1_000_000
            np.testing.assert_allclose(found.predicted_iou, iou, atol=2e-6)
            assert found.masks.shape == (n, 4, *shape[:2])
            assert 0.02 < found.masks.mean() < 0.98


def test_masks_that_stay_on_the_device_equal_sam_predictor(tiny: SamModel) -> None:
    image, rng = smooth_image((300, 200)), np.random.default_rng(1)
    model = SamModel(tiny.card, tiny.network, tiny.numerics, tiny.device, on_device=True)
    prompts = random_prompts(rng, 5, 5, False, 300, 200)
    found = model.decode(model.embed([image])[0], prompts)
    assert isinstance(found.masks, torch.Tensor)
    assert isinstance(tiny.decode(tiny.embed([image])[0], prompts).masks, np.ndarray)
    with one_thread():
        logits, _ = by_predictor(predictor_of(tiny, image), prompts, 300, 200)
    assert flipped(found.masks.numpy(), logits) <= 4


def by_predictor(
    predictor: SamPredictor, prompts: list[Prompt], height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """float32[n, 4, y, x] logits and float32[n, 4] predicted IoU, in the order of candidates."""
    asked = prompt_tensors(prompts, height, width, predictor.model.image_encoder.img_size, "cpu")
    arguments = (asked.coords, asked.labels, asked.boxes)
    many, many_iou, _ = predictor.predict_torch(
        *arguments, multimask_output=True, return_logits=True
    )
    one, one_iou, _ = predictor.predict_torch(
        *arguments, multimask_output=False, return_logits=True
    )
    return torch.cat([many, one], 1).numpy(), torch.cat([many_iou, one_iou], 1).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_close_to_predict_one_prompt_at_a_time(tiny: SamModel, kind: str) -> None:
    image, rng = smooth_image((300, 200), 3), np.random.default_rng(2)
    prompts = random_prompts(rng, 7, *KINDS[kind], 300, 200)
    embedding = tiny.embed([image])[0]
    found = tiny.decode(embedding, prompts)
    predictor = predictor_of(tiny, image)
    for prompt, masks, iou in zip(prompts, found.masks, found.predicted_iou, strict=True):
        points = np.array([[p.x, p.y] for p in prompt.points]) if prompt.points else None
        labels = np.array([int(p.positive) for p in prompt.points]) if prompt.points else None
        corners = prompt.box and np.array(
            [prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1]
        )
        for own, many in ((slice(0, 3), True), (slice(3, 4), False)):
            logits, single_iou, _ = predictor.predict(
                points, labels, corners, multimask_output=many, return_logits=True
            )
            assert flipped(masks[own], logits) <= 3
            np.testing.assert_allclose(iou[own], single_iou, atol=2e-6)


def test_candidates_do_not_depend_on_the_batch_beyond_rounding(tiny: SamModel) -> None:
    rng = np.random.default_rng(5)
    embedding = tiny.embed([smooth_image((128, 128))])[0]
    prompts = random_prompts(rng, 16, 5, False, 128, 128)
    together = tiny.decode(embedding, prompts)
    for place, prompt in enumerate(prompts):
        alone = tiny.decode(embedding, [prompt])
        assert np.count_nonzero(alone.masks[0] != together.masks[place]) <= 3
        np.testing.assert_allclose(alone.predicted_iou[0], together.predicted_iou[place], atol=2e-6)
    assert together.predicted_iou.std() > 1e-3


@pytest.mark.parametrize("encode_batch", [1, 2, 3])
def test_each_embedding_is_independent_of_its_neighbours(tiny: SamModel, encode_batch: int) -> None:
    model = SamModel(
        tiny.card, tiny.network, replace(tiny.numerics, encode_batch=encode_batch), tiny.device
    )
    images = [smooth_image(shape, seed) for seed, shape in enumerate(SHAPES)]
    together = model.embed(images)
    assert model.embed([]) == []
    for image, embedding in zip(images, together, strict=True):
        assert torch.equal(model.embed([image])[0].features.embedding, embedding.features.embedding)
        assert (embedding.height, embedding.width) == image.shape[:2]


def test_grey_is_the_same_as_three_equal_channels(tiny: SamModel) -> None:
    grey = smooth_image((77, 130))
    first, second = tiny.embed([grey, as_rgb(grey)])
    assert torch.equal(first.features.embedding, second.features.embedding)


def test_decoding_leaves_nothing_behind(tiny: SamModel) -> None:
    """Slices of different sizes, interleaved, answer as if each were alone."""
    small, large = tiny.embed([smooth_image((60, 90)), smooth_image((200, 100))])
    prompts = [Prompt((Point(30, 30, True),))]
    before = tiny.decode(small, prompts)
    tiny.decode(large, [Prompt(box=Box(1, 2, 30, 40))])
    after = tiny.decode(small, prompts)
    assert np.array_equal(before.masks, after.masks)
    assert before.masks.shape == (1, 4, 60, 90)


def test_results_do_not_depend_on_the_callers_threads(tiny: SamModel) -> None:
    embedding = tiny.embed([smooth_image((256, 200))])[0]
    prompts = random_prompts(np.random.default_rng(0), 16, 5, False, 256, 200)
    with one_thread():
        torch.set_num_threads(2)
        two = tiny.embed([smooth_image((256, 200))])[0]
        masks = tiny.decode(two, prompts)
        assert torch.get_num_threads() == 2
    assert torch.equal(two.features.embedding, embedding.features.embedding)
    assert np.array_equal(masks.masks, tiny.decode(embedding, prompts).masks)


def test_read_only_images_are_welcome(tiny: SamModel) -> None:
    image = smooth_image((64, 80))
    image.flags.writeable = False
    assert tiny.embed([image])[0].height == 64


@pytest.mark.parametrize(
    "prompts",
    [
        [],
        [Prompt()],
        [Prompt((Point(1, 1, True),)), Prompt((Point(1, 1, True), Point(2, 2, False)))],
        # Three tokens each, and still not one pass: the prompt encoder treats them differently.
        [
            Prompt((Point(1, 1, True), Point(2, 2, True))),
            Prompt((Point(1, 1, True),), Box(1, 1, 5, 5)),
        ],
    ],
    ids=["none", "empty", "counts", "kinds"],
)
def test_prompts_that_cannot_share_a_pass_are_refused(
    tiny: SamModel, prompts: list[Prompt]
) -> None:
    embedding = tiny.embed([smooth_image((32, 32))])[0]
    with pytest.raises(ValueError, match="cannot share"):
        tiny.decode(embedding, prompts)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
    ids=["float", "four channels", "empty", "stack"],
)
def test_what_is_no_image_is_refused(tiny: SamModel, image: Image) -> None:
    with pytest.raises(UserError, match="not an image"):
        tiny.embed([image])


def _vit_b_slice(points: int, box: bool) -> Callable[[], None]:
    def check() -> None:
        model = load_model(chosen("vit_b"))
        assert isinstance(model, SamModel)
        image = smooth_image((300, 420))
        prompts = random_prompts(np.random.default_rng(0), 3, points, box, 300, 420)
        found = model.decode(model.embed([image])[0], prompts)
        with one_thread():
            logits, iou = by_predictor(predictor_of(model, image), prompts, 300, 420)
        assert flipped(found.masks, logits) <= 30
        np.testing.assert_allclose(found.predicted_iou, iou, atol=1e-4)

    return check


@pytest.mark.long
@pytest.mark.parametrize(("points", "box"), [(5, False), (1, True)])
def test_vit_b_equals_sam_predictor(points: int, box: bool) -> None:
    _vit_b_slice(points, box)()
