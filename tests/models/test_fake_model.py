"""The fake model's answers, worked out by hand."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import chosen, write_yaml

from engine.models import describe, load_model
from engine.models.base import Embedding
from engine.models.fake import FakeFailureError, FakeModel
from engine.prompts.base import Box, Point, Prompt
from engine.study import EverythingParams


@pytest.fixture(scope="module")
def fake() -> FakeModel:
    model = load_model(chosen("fake"))
    assert isinstance(model, FakeModel)
    return model


def custom(folder: Path, **fields: object) -> FakeModel:
    model = load_model(chosen(write_yaml(folder / "f.yaml", {"kind": "fake", **fields})))
    assert isinstance(model, FakeModel)
    return model


def slice_of(model: FakeModel, height: int = 100, width: int = 120) -> Embedding:
    return model.embed([np.zeros((height, width), np.uint8)])[0]


def extent(mask: np.ndarray) -> tuple[int, ...]:
    """(x0, y0, x1, y1, is a full rectangle)."""
    y, x = np.nonzero(mask)
    box = int(x.min()), int(y.min()), int(x.max()), int(y.max())
    assert mask.sum() == (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
    return box


def test_boxes_by_hand(fake: FakeModel) -> None:
    found = fake.decode(slice_of(fake), [Prompt(box=Box(20, 30, 59, 49))])  # 40 x 20 pixels
    assert [extent(mask) for mask in found.masks[0]] == [
        (20, 30, 59, 49),
        (30, 35, 49, 44),
        (10, 25, 69, 54),
        (24, 32, 55, 47),
    ]
    assert found.predicted_iou.tolist() == [pytest.approx([0.9, 0.7, 0.95, 0.8])]


def test_enlarged_boxes_are_clipped(fake: FakeModel) -> None:
    masks = fake.decode(slice_of(fake), [Prompt(box=Box(0, 1, 119, 99))]).masks[0]
    assert extent(masks[2]) == (0, 0, 119, 99)


def test_discs_by_hand(fake: FakeModel) -> None:
    prompt = Prompt((Point(50, 40, True), Point(90, 90, True), Point(50, 40, False)))
    masks = fake.decode(slice_of(fake), [prompt]).masks[0]
    y, x = np.mgrid[:100, :120]
    distance = (x - 50) ** 2 + (y - 40) ** 2
    for mask, radius in zip(masks, (8, 4, 16, 12), strict=True):
        assert np.array_equal(mask, (distance <= radius**2) & (distance > 16))
    assert not masks[1].any(), "a negative click on the same place empties the smallest disc"


def test_negative_points_cut_boxes_too(fake: FakeModel) -> None:
    prompt = Prompt((Point(30, 30, False),), Box(10, 10, 50, 50))
    masks = fake.decode(slice_of(fake), [prompt]).masks[0]
    assert not masks[:, 30, 30].any()
    assert masks[0].sum() == 41 * 41 - 49


@pytest.mark.parametrize("box", [Box(5, 5, 5, 30), Box(5, 30, 40, 30)], ids=str)
def test_boxes_without_area_give_nothing(fake: FakeModel, box: Box) -> None:
    assert not fake.decode(slice_of(fake), [Prompt(box=box)]).masks.any()


@settings(max_examples=40)
@given(st.integers(3, 90), st.integers(3, 90), st.data())
def test_the_likeliest_candidate_is_not_the_best_for_a_rectangle(
    height: int, width: int, data: st.DataObject
) -> None:
    model = load_model(chosen("fake"))
    x0, y0 = data.draw(st.integers(0, width - 3)), data.draw(st.integers(0, height - 3))
    x1, y1 = data.draw(st.integers(x0 + 2, width - 1)), data.draw(st.integers(y0 + 2, height - 1))
    embedding = model.embed([np.zeros((height, width), np.uint8)])[0]
    found = model.decode(embedding, [Prompt(box=Box(x0, y0, x1, y1))])
    truth = np.zeros((height, width), bool)
    truth[y0 : y1 + 1, x0 : x1 + 1] = True
    dice = [2 * (m & truth).sum() / (m.sum() + truth.sum()) for m in found.masks[0, :3]]
    assert dice[0] == 1
    assert int(np.argmax(found.predicted_iou[0, :3])) == 2
    assert found.masks[0, 1].any(), "shrinking never empties a box"


def test_everything_is_a_tiling(fake: FakeModel) -> None:
    found = fake.everything(slice_of(fake, 41, 50), EverythingParams())
    masks = np.array([found.mask(index) for index in range(len(found))])
    assert (masks.sum(axis=0) == 1).all()
    assert (len(found), found.n_raw) == (16, 16)
    assert (np.diff(found.predicted_iou) < 0).all()
    assert found.points[:, 1].tolist() != sorted(found.points[:, 1]), "not simply row-major"
    for mask, (x, y) in zip(masks, found.points, strict=True):
        assert mask[int(y), int(x)]


def test_everything_obeys_its_thresholds(fake: FakeModel) -> None:
    embedding = slice_of(fake, 41, 50)
    some = fake.everything(embedding, EverythingParams(pred_iou_thresh=0.95))
    assert len(some) == 8
    assert (some.predicted_iou > 0.95).all()
    none = fake.everything(embedding, EverythingParams(stability_score_thresh=1.5))
    assert none.packed.shape == (0, 41, 7)
    assert len(fake.everything(slice_of(fake, 2, 50), EverythingParams())) == 8


def test_failures_on_demand(tmp_path: Path) -> None:
    model = custom(tmp_path, fail_on_width=33, fail_on_corner=7, fail_on_x=12)
    with pytest.raises(FakeFailureError, match="33 pixels wide"):
        slice_of(model, 10, 33)
    with pytest.raises(FakeFailureError, match="corner level 7"):
        model.embed([np.full((4, 4, 3), 7, np.uint8)])
    embedding = slice_of(model)
    model.decode(embedding, [Prompt((Point(13, 1, True),))])
    for prompt in (Prompt((Point(12, 1, True),)), Prompt(box=Box(12, 1, 20, 9))):
        with pytest.raises(FakeFailureError, match="column 12"):
            model.decode(embedding, [prompt])


def test_circumstances_stay_out_of_the_hash(tmp_path: Path, fake: FakeModel) -> None:
    slow = custom(tmp_path, seconds_per_slice=0.02, fail_on_width=9)
    assert slow.card.weights_sha256 == fake.card.weights_sha256
    start = time.perf_counter()
    model_slices = [np.zeros((4, 4), np.uint8)] * 3
    slow.embed(model_slices)
    assert time.perf_counter() - start >= 0.06
    assert custom(tmp_path, tiles=5).card.weights_sha256 != fake.card.weights_sha256


def test_description_and_mixed_prompts(fake: FakeModel) -> None:
    assert describe(chosen("fake")) == fake.card
    with pytest.raises(ValueError, match="same shape"):
        fake.decode(slice_of(fake), [Prompt((Point(1, 1, True),)), Prompt(box=Box(1, 1, 2, 2))])
