"""Everything against SamAutomaticMaskGenerator: same masks, scores, points and order."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from model_samples import as_rgb, chosen, one_thread, smooth_image
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator

from engine.collection.intensity import to_uint8
from engine.collection.phantoms import FAMILIES
from engine.collection.phantoms.base import subject_generator
from engine.models import load_model
from engine.models.base import EverythingMasks, Image
from engine.models.enlarge import Measured, measured
from engine.models.everything import grid_points, suppress
from engine.models.sam import SamModel
from engine.study import EverythingParams, Intensity

ENOUGH = 20


@pytest.fixture(scope="module")
def scattered(tiny: SamModel) -> SamModel:
    """An untrained model whose masks are small and scattered, so that their boxes differ.

    Some are empty, which is where SAM's conventions matter.
    """
    network = copy.deepcopy(tiny.network)
    with torch.no_grad():
        for mlp in network.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].bias -= 0.2
        # SAM does not filter by thresholds <= 0: keep its predicted IoU above.
        network.mask_decoder.iou_prediction_head.layers[-1].bias += 1
    return SamModel(tiny.card, network, tiny.numerics, tiny.device)


@pytest.fixture(scope="module")
def staying(scattered: SamModel) -> SamModel:
    """The same model, its masks made and kept where it computes."""
    return SamModel(
        scattered.card, scattered.network, scattered.numerics, scattered.device, on_device=True
    )


def all_masks(model: SamModel, image: Image, **params: float) -> EverythingMasks:
    everything = EverythingParams.model_validate(
        {"pred_iou_thresh": -1, "stability_score_thresh": -1, "box_nms_thresh": 1.0, **params}
    )
    return model.everything(model.embed([image])[0], everything)


def thresholds(model: SamModel, image: Image, points: int, offset: float) -> dict[str, float]:
    """Thresholds with masks of this image on both sides, and none so near that rounding decides."""
    raw = all_masks(model, image, points_per_side=points, stability_score_offset=offset)
    likely = _gap(raw.predicted_iou)
    stable = raw.stability_score[raw.predicted_iou > likely]
    return {
        "points_per_side": points,
        "stability_score_offset": offset,
        "pred_iou_thresh": likely,
        "stability_score_thresh": _gap(stable[stable > 0]),
        "box_nms_thresh": 0.8,
    }


def _gap(scores: NDArray[np.float32]) -> float:
    """The middle of the widest gap between the 10th and the 20th percentile."""
    some = np.sort(scores.astype(np.float64))
    some = some[len(some) // 10 : len(some) // 5 + 2]
    place = int(np.diff(some).argmax())
    return float(some[place] + some[place + 1]) / 2


def by_library(model: SamModel, image: Image, params: dict[str, float]) -> list[dict[str, Any]]:
    with one_thread():
        generator = SamAutomaticMaskGenerator(model.network, **params)
        return list(generator.generate(as_rgb(image)))


def assert_equal(found: EverythingMasks, expected: list[dict[str, Any]]) -> None:
    """Same masks up to pixels that round, same scores up to rounding, in an order they allow."""
    assert len(found) == len(expected)
    records = {
        _key(*record["point_coords"][0], record["segmentation"]): record for record in expected
    }
    keys = [_key(*found.points[k], found.mask(k)) for k in range(len(found))]
    assert len(records) == len(expected) == len(set(keys))
    lost = [k for k, key in enumerate(keys) if key not in records]
    assert len(lost) <= 1 + len(keys) // 50, "a mask may differ by a pixel that rounds, few do"
    ious = []
    for k, key in enumerate(keys):
        if k in lost:
            continue
        record = records[key]
        ious.append(record["predicted_iou"])
        assert abs(found.predicted_iou[k] - record["predicted_iou"]) < 2e-6
        # a ratio of two areas, each of which may differ by a pixel that rounds
        rounding = max(1e-3, 2 / max(record["area"], 1))
        assert abs(found.stability_score[k] - record["stability_score"]) < rounding
    assert all(two < one + 4e-6 for one, two in pairwise(ious))
    for k in lost:
        near = [r for r in expected if r["point_coords"] == [found.points[k].tolist()]]
        assert any(np.count_nonzero(r["segmentation"] != found.mask(k)) <= 2 for r in near)


def _key(x: float, y: float, mask: NDArray[np.bool_]) -> tuple[float, float, bytes]:
    return x, y, np.packbits(mask).tobytes()


@pytest.mark.parametrize(
    ("shape", "nms"),
    [((120, 80), 0.7), ((90, 200), 0.95), ((260, 300, 3), 0.95), ((37, 401), 1.0)],
    ids=str,
)
def test_equals_the_library(scattered: SamModel, shape: tuple[int, ...], nms: float) -> None:
    image = smooth_image(shape)
    params = {**thresholds(scattered, image, 12, 0.01), "box_nms_thresh": nms}
    found = scattered.everything(
        scattered.embed([image])[0], EverythingParams.model_validate(params)
    )
    assert_equal(found, by_library(scattered, image, params))
    without_nms = all_masks(scattered, image, **{**params, "box_nms_thresh": 1.0})
    assert found.n_raw == 3 * 12 * 12
    assert ENOUGH <= len(found) <= found.n_raw - ENOUGH, "the comparison must have substance"
    assert nms == 1 or len(found) <= len(without_nms) - ENOUGH, "suppression must matter"


def test_masks_that_stay_on_the_device_equal_the_library(staying: SamModel) -> None:
    image = smooth_image((120, 85))
    params = {**thresholds(staying, image, 12, 0.01), "box_nms_thresh": 0.9}
    found = staying.everything(staying.embed([image])[0], EverythingParams.model_validate(params))
    assert isinstance(found.packed, torch.Tensor)
    assert isinstance(found.mask(0), np.ndarray)
    assert_equal(found, by_library(staying, image, params))
    assert ENOUGH <= len(found) <= found.n_raw - ENOUGH
    nothing = EverythingParams(points_per_side=4, pred_iou_thresh=50)
    none = staying.everything(staying.embed([image])[0], nothing)
    assert tuple(none.packed.shape) == (0, 120, 11)


def test_each_threshold_filters_alone(scattered: SamModel) -> None:
    image = smooth_image((120, 80))
    full = thresholds(scattered, image, 8, 0.01)
    sizes = []
    for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh"):
        params = {**full, "pred_iou_thresh": -1, "stability_score_thresh": -1, "box_nms_thresh": 1}
        params[name] = full[name]
        if name == "stability_score_thresh":
            # Undefined stability would reach NMS; SAM gives NaN there, we 0.
            assert params[name] > 0
        found = scattered.everything(
            scattered.embed([image])[0], EverythingParams.model_validate(params)
        )
        expected = by_library(scattered, image, params)
        for record in expected:
            record["stability_score"] = np.nan_to_num(record["stability_score"])
        assert_equal(found, expected)
        sizes.append(len(found))
    assert all(0 < size < 3 * 64 for size in sizes), sizes


def test_the_order_is_the_protocols(scattered: SamModel) -> None:
    found = all_masks(scattered, smooth_image((80, 80)), points_per_side=6)
    raw = [
        (-iou, y, x, mask)
        for iou, (x, y), mask in zip(
            found.predicted_iou, found.points, found.mask_index, strict=True
        )
    ]
    assert raw == sorted(raw)
    assert Counter(found.mask_index.tolist()) == {0: 36, 1: 36, 2: 36}


def test_ties_keep_grid_order(scattered: SamModel) -> None:
    """With one predicted IoU for all, what is left is decided by the grid alone."""
    network = copy.deepcopy(scattered.network)
    with torch.no_grad():
        last = network.mask_decoder.iou_prediction_head.layers[-1]
        last.weight.zero_()
        last.bias.fill_(0.5)
    model = SamModel(scattered.card, network, scattered.numerics, scattered.device)
    image = smooth_image((120, 80))
    params = {**thresholds(scattered, image, 10, 0.01), "pred_iou_thresh": 0.4}
    found = model.everything(model.embed([image])[0], EverythingParams.model_validate(params))
    position = [(y, x, m) for (x, y), m in zip(found.points, found.mask_index, strict=True)]
    assert len(found) > ENOUGH
    assert position == sorted(position)
    assert_equal(found, by_library(model, image, params))


def test_unpacked_masks_are_bounded(scattered: SamModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large slice must not hold all masks of a pass as bytes; the result is the same."""
    image = smooth_image((40, 30))
    whole = all_masks(scattered, image, points_per_side=4)
    seen: list[int] = []

    def spy(logits: torch.Tensor, *arguments: Any, **more: Any) -> Measured:
        seen.append(len(logits))
        return measured(logits, *arguments, **more)

    monkeypatch.setattr("engine.models.everything.measured", spy)
    small = replace(scattered.numerics, mask_bytes=5 * 40 * 30)
    bounded = SamModel(scattered.card, scattered.network, small, scattered.device)
    found = all_masks(bounded, image, points_per_side=4)
    assert seen == [5] * 9 + [3]
    for name in ("packed", "predicted_iou", "stability_score", "points", "mask_index"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))


def test_thresholds_at_a_score_itself(scattered: SamModel) -> None:
    """A predicted IoU must exceed its threshold, a stability reach it; 0 keeps everything."""
    image = smooth_image((60, 50))
    raw = all_masks(scattered, image, points_per_side=6, stability_score_offset=0.01)
    every = len(raw)
    assert every == 3 * 36
    likely = float(np.sort(raw.predicted_iou)[every // 3])
    found = all_masks(scattered, image, points_per_side=6, pred_iou_thresh=likely)
    assert len(found) == np.count_nonzero(raw.predicted_iou > np.float32(likely))
    stable = float(np.sort(raw.stability_score)[every // 2])
    assert stable > 0
    found = all_masks(
        scattered, image, points_per_side=6, stability_score_offset=0.01,
        stability_score_thresh=stable,
    )  # fmt: skip
    assert len(found) == np.count_nonzero(raw.stability_score >= np.float32(stable))
    below = SamModel(scattered.card, _doubting(scattered), scattered.numerics, scattered.device)
    assert len(all_masks(below, image, points_per_side=6, pred_iou_thresh=0)) == every


def _doubting(model: SamModel) -> Any:
    """A network whose predicted IoU is below 0."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        network.mask_decoder.iou_prediction_head.layers[-1].bias -= 100
    return network


def test_nothing_left_at_the_default_thresholds(tiny: SamModel) -> None:
    found = tiny.everything(
        tiny.embed([smooth_image((50, 70))])[0], EverythingParams(points_per_side=4)
    )
    assert len(found) == 0
    assert found.packed.shape == (0, 50, 9)
    assert (found.points.shape, found.n_raw) == ((0, 2), 48)


def test_grid_points_are_cell_centres() -> None:
    points = grid_points(2, height=8, width=20)
    assert points.tolist() == [[5, 2], [15, 2], [5, 6], [15, 6]]


def test_suppression_walks_in_the_given_order() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 10, 10]], np.float32)
    assert suppress(boxes, 0.7).tolist() == [0, 2]
    assert suppress(boxes[::-1].copy(), 0.7).tolist() == [0, 1]
    assert suppress(boxes, 0.95).tolist() == [0, 1, 2]


@pytest.mark.long
def test_vit_b_equals_the_library() -> None:
    model = load_model(chosen("vit_b"))
    assert isinstance(model, SamModel)
    with torch.no_grad():
        model.network.mask_decoder.iou_prediction_head.layers[-1].bias += 1
    image = smooth_image((150, 200))
    params = {**thresholds(model, image, 6, 0.02), "box_nms_thresh": 1.0}
    found = model.everything(model.embed([image])[0], EverythingParams.model_validate(params))
    assert ENOUGH <= len(found) <= found.n_raw - ENOUGH
    assert_equal(found, by_library(model, image, params))


def test_trained_weights_on_a_phantom(trained: SamModel) -> None:
    """The demo's Everything: masks that pass its thresholds by their own merit."""
    (shot, *_) = FAMILIES.get("fluorescence").draw(
        subject_generator("fluorescence", "demo-0000", 0)
    )
    low, high = float(shot.image.min()), float(shot.image.max())
    image = to_uint8(shot.image, Intensity(), low, high).image
    params = {"points_per_side": 16, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.5}
    everything = EverythingParams.model_validate(params)
    found = trained.everything(trained.embed([image])[0], everything)
    assert len(found) > 3
    assert_equal(found, by_library(trained, image, params))
