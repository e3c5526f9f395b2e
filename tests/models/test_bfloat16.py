"""A model in bfloat16 beside the same in float32: near, and float32 where it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_samples import chosen, miniature_yaml, random_prompts, smooth_image, write_yaml

from engine.models import load_model, prompt_decoder
from engine.models.decoding import prompt_tensors
from engine.models.medsam import MedSamModel
from engine.models.numerics import Numerics, numerics_of, products_in
from engine.models.prompt_decoder import CANDIDATE_TOKENS, PromptDecoder
from engine.models.sam import SamModel
from engine.models.two_way import SharedImage, attend
from engine.prompts.base import Box, Prompt
from engine.study import EverythingParams

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lower() -> SamModel:
    model = load_model(chosen("tiny"), "cpu", "bfloat16")
    assert isinstance(model, SamModel)
    return model


def test_the_record_says_it() -> None:
    assert numerics_of("cpu", "float32") == numerics_of("cpu") == numerics_of("cpu", "auto")
    assert numerics_of("cpu", "bfloat16") == replace(numerics_of("cpu"), dtype="bfloat16")
    assert numerics_of("cpu").torch_dtype == torch.float32
    assert numerics_of("cpu", "bfloat16").torch_dtype == torch.bfloat16
    assert not numerics_of("cpu").on_gpu


def test_auto_is_bfloat16_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    kernels = f"torch-{torch.__version__}"
    expected = Numerics("cuda-NVIDIA-H200", "bfloat16", kernels, 1, 8, 64, 64)
    assert numerics_of("cuda") == numerics_of("cuda", "bfloat16") == expected
    assert numerics_of("cuda:0", "float32") == replace(expected, dtype="float32")
    assert expected.on_gpu


def test_products_alone_are_in_the_lower_precision() -> None:
    x = torch.randn((4, 4), generator=torch.Generator().manual_seed(0))
    with products_in(torch.bfloat16, CPU):
        assert (x @ x).dtype == torch.bfloat16
        assert (x + x @ x).dtype == torch.float32
        assert torch.nn.functional.layer_norm(x, (4,)).dtype == torch.float32
    with products_in(torch.float32, CPU):
        assert torch.equal(x @ x, torch.mm(x, x))


@pytest.mark.parametrize(("points", "box"), [(1, False), (5, False), (10, False), (1, True)])
def test_answers_are_near_those_of_float32(
    trained: SamModel, lower: SamModel, points: int, box: bool
) -> None:
    """With few tokens attention is absorbed, with many it is not."""
    image, rng = smooth_image((300, 200)), np.random.default_rng(points)
    prompts = random_prompts(rng, 16, points, box, 300, 200)
    near, far = (model.decode(model.embed([image])[0], prompts) for model in (trained, lower))
    assert far.predicted_iou.dtype == np.float32
    np.testing.assert_allclose(far.predicted_iou, near.predicted_iou, atol=0.02)
    assert 0 < (far.masks != near.masks).mean() < 0.01
    assert 0.02 < near.masks.mean() < 0.98


def test_residuals_and_what_leaves_are_float32(lower: SamModel) -> None:
    decoder = PromptDecoder(lower.network, torch.bfloat16)
    features = lower.embed([smooth_image((64, 64))])[0].features
    shared = features.shared
    assert {shared.keys.dtype, shared.values.dtype, shared.queries.dtype} == {torch.bfloat16}
    assert {features.embedding.dtype, shared.image.dtype, shared.position.dtype} == {torch.float32}
    prompts = random_prompts(np.random.default_rng(0), 3, 2, False, 64, 64)
    asked = prompt_tensors(prompts, 64, 64, lower.card.input_size, "cpu")
    with torch.inference_mode():
        attended = decoder.attend(features, asked)
        left = (
            attended.tokens,
            attended.image,
            decoder.predicted_iou(attended),
            decoder.logits(attended, CANDIDATE_TOKENS),
        )
    assert {x.dtype for x in left} == {torch.float32}


def test_where_prompts_and_pixels_lie_is_not_rounded(
    trained: SamModel, lower: SamModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 the 1024 columns of a large input would not all be told apart."""
    prompts = random_prompts(np.random.default_rng(0), 9, 2, True, 256, 256)
    seen: list[torch.Tensor] = []

    def noted(net: object, shared: SharedImage, tokens: torch.Tensor, outputs: int) -> object:
        seen.extend([shared.position, tokens])
        return attend(net, shared, tokens, outputs)

    monkeypatch.setattr(prompt_decoder, "attend", noted)
    for model in (trained, lower):
        model.decode(model.embed([smooth_image((256, 256))])[0], prompts)
    position, tokens, position_lower, tokens_lower = seen
    assert torch.equal(position, position_lower)
    assert torch.equal(tokens, tokens_lower)


def test_everything_keeps_most_of_its_masks(trained: SamModel, lower: SamModel) -> None:
    params = EverythingParams(points_per_side=8, pred_iou_thresh=0.5, stability_score_thresh=0.5)
    image = smooth_image((120, 120))
    near, far = (model.everything(model.embed([image])[0], params) for model in (trained, lower))
    assert len(near) > 3
    assert abs(len(near) - len(far)) <= max(3, len(near) // 5)


def test_medsam_in_bfloat16(tmp_path: Path) -> None:
    shape = miniature_yaml(tmp_path)
    model_yaml = write_yaml(tmp_path / "med.yaml", {"kind": "medsam", "network": shape})
    image, boxes = smooth_image((50, 40)), [Prompt(box=Box(3, 4, 30, 33))]
    found = []
    for precision in ("float32", "bfloat16"):
        model = load_model(chosen(model_yaml), "cpu", precision)
        assert isinstance(model, MedSamModel)
        assert model.numerics.dtype == precision
        found.append(model.decode(model.embed([image])[0], boxes))
    np.testing.assert_allclose(found[0].predicted_iou, found[1].predicted_iou, atol=0.1)
    assert found[0].predicted_iou != found[1].predicted_iou
