"""The twin for tensors against the twin for arrays, brute force and itself in other company."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import scores as oracle
from oracles.masks import Mask, masks, not_empty, shapes
from scipy.ndimage import binary_erosion

from engine.errors import SamscopeError
from engine.masks import WORK_BYTES
from engine.models.base import EverythingMasks
from engine.scoring import EverythingScorer, TrialScores, TruthBorder, score_batch
from engine.scoring import border_tensors as tensors
from engine.scoring.device import PIXEL_BYTES, measure_together, on_device
from engine.scoring.nearest_kernels import LONGEST

SPACINGS = [None, (1.0, None), (0.5, 0.5), (0.4, 0.4), (0.3, 1.7), (5.0, 0.1), (1e-6, 1e3)]
IDS = [(0, 1, 2, 3), (3,), (0, 1, 2), (3, 1, 0, 2)]
NEARLY = 1e-12
"""Relative; for sums of roots and distances in millimetres. All else is equal to the bit."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more, and a busy machine is kinder to one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def there(stack: Mask) -> torch.Tensor:
    """A tensor of its own memory: writing to one side could not make both agree."""
    return torch.from_numpy(stack.copy())


def assert_same(found: Any, expected: Any) -> None:
    """Rows of both twins."""
    assert type(found) is type(expected)
    if isinstance(expected, Exception):
        assert str(found).replace("torch.", "") == str(expected)
        return
    for one, other in zip(found.selections, expected.selections, strict=True):
        assert_nearly(asdict(one), asdict(other))
    rest = "candidates" if isinstance(expected, TrialScores) else "overlaps"
    assert getattr(found, rest) == getattr(expected, rest)


def assert_nearly(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, wanted in expected.items():
        if wanted is not None and name in ("assd_px", "hausdorff_mm", "hd95_mm", "assd_mm"):
            wanted = pytest.approx(wanted, rel=NEARLY, abs=0)
        assert found[name] == wanted, name


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[TruthBorder], list[Mask], list[Any], tuple[int, ...]]:
    """Trials of a slice with up to three objects of different spacing."""
    shape = draw(shapes())
    objects = [
        TruthBorder.from_mask(
            draw(not_empty(shape)),
            draw(st.sampled_from(SPACINGS)),
            tolerance_px=draw(st.sampled_from([0.0, 1.0, 2**0.5, 2.0, 7.3])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    ids = draw(st.sampled_from(IDS))
    truths = draw(st.lists(st.sampled_from(objects), min_size=1, max_size=5))
    preds = st.one_of(masks(shape), st.just(np.zeros(shape, np.bool_)))
    stacks = [np.stack([draw(preds) for _ in ids]) for _ in truths]
    ious = st.sampled_from([0.25, 0.5, 0.75, 1.5])
    values = [np.array([draw(ious) for _ in ids], np.float32) for _ in truths]
    return truths, stacks, values, ids


@given(batches())
@settings(max_examples=150)
def test_rows_of_both_twins(
    batch: tuple[list[TruthBorder], list[Mask], list[Any], tuple[int, ...]],
) -> None:
    truths, stacks, ious, ids = batch
    expected = score_batch(truths, stacks, ious, ids)
    found = score_batch(truths, [there(stack) for stack in stacks], ious, ids)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, TrialScores), one
        assert_same(one, other)
    # A trial's rows do not depend on its neighbours, not even in the last digit of a sum.
    for place, one in enumerate(found):
        part = slice(place, place + 1)
        (alone,) = score_batch(truths[part], [there(stacks[place])], ious[part], ids)
        assert alone == one


@given(
    shapes(20).flatmap(lambda s: st.tuples(not_empty(s), not_empty(s))), st.sampled_from(SPACINGS)
)
def test_distances_equal_brute_force(pair: tuple[Mask, Mask], spacing: Any) -> None:
    truth, pred = pair
    known = spacing if spacing and spacing[1] else None
    (found,) = measure_together([TruthBorder.from_mask(truth, spacing)], [there(pred)])
    for name, wanted in oracle.distances(pred, truth, known).items():
        value = asdict(found)[name]
        assert value == (None if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-9))


def _drawn(rng: np.random.Generator, size: tuple[int, int]) -> Mask:
    """Speckles of any share, a box, or a lone pixel; not empty."""
    mask = np.zeros(size, np.bool_)
    y, x = (int(rng.integers(0, n)) for n in size)
    kind = rng.integers(0, 3)
    if kind == 0:
        mask |= rng.random(size) < rng.random()
    elif kind == 1:
        mask[y : y + int(rng.integers(1, 20)), x : x + int(rng.integers(1, 20))] = True
    mask[y, x] |= not mask.any()
    return mask


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_squared_distances_are_the_integers_of_brute_force(seed: int) -> None:
    """A hundred pairs an example, in one batch."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    ours, theirs = (np.stack([_drawn(rng, size) for _ in range(100)]) for _ in range(2))
    one, two = (tensors.border(there(stack)) for stack in (ours, theirs))
    asked = tensors.pixels_of(one)
    field = tensors.column_distance(two, tensors.far_in(*size))
    found = tensors.nearest_sq(field, asked.pair, asked)
    assert found.dtype == torch.int32
    assert asked.counts.tolist() == one.sum(dim=(1, 2)).tolist()
    for k in range(100):
        a, b = (np.argwhere(m & ~binary_erosion(m)) for m in (ours[k], theirs[k]))
        expected = ((a[:, None] - b[None]) ** 2).sum(axis=-1).min(axis=1)
        assert found[asked.pair == k].tolist() == expected.tolist()


def test_many_pieces_give_what_each_mask_gives_alone() -> None:
    """More pairs, and more queries of one mask, than one piece holds."""
    size = (40, 3000)
    boxes = np.zeros((50, *size), np.bool_)
    for k, box in enumerate(boxes):
        box[k % 9 : 12 + k % 20, 50 * k : 50 * k + 20] = True
    boxes[7] |= np.random.default_rng(0).random(size) < 0.04
    assert len(boxes) * 40 * 3000 * PIXEL_BYTES > WORK_BYTES
    assert np.count_nonzero(boxes[7]) * 3000 * tensors.ROW_ENTRY_BYTES > WORK_BYTES
    truths = [TruthBorder.from_mask(boxes[k], (0.5, 2.0)) for k in (0, 20)]
    asked = [truths[k % 2] for k in range(50)]
    found = measure_together(asked, [there(box) for box in boxes])
    for k, (truth, box) in enumerate(zip(asked, boxes, strict=True)):
        assert_nearly(asdict(found[k]), asdict(truth.distances(box)))
    for k in (7, 49):
        assert measure_together([asked[k]], [there(boxes[k])]) == [found[k]]


@pytest.mark.parametrize("size", [(1, LONGEST), (LONGEST, 1), (2, LONGEST)])
def test_the_longest_sides_fit_32_bits(size: tuple[int, int]) -> None:
    truth, pred = np.zeros((2, *size), np.bool_)
    truth[0, 0] = pred[-1, -1] = True
    prepared = TruthBorder.from_mask(truth, (0.5, 0.25))
    (found,) = measure_together([prepared], [there(pred)])
    assert found.hausdorff_px == np.hypot(size[0] - 1, size[1] - 1)
    assert_nearly(asdict(found), asdict(prepared.distances(pred)))
    assert tensors.far_in(LONGEST, LONGEST) ** 2 + LONGEST**2 < 2**31
    near = truth.copy()  # a small window of the same slice
    near[: min(size[0], 3), : min(size[1], 3)] = True
    assert measure_together([prepared], [there(near)]) == [prepared.distances(near)]


def _broken(kind: str, stack: Mask, iou: Any) -> tuple[Any, Any]:
    if kind == "not a number":
        return stack, np.full_like(iou, np.nan)
    if kind == "belong together":
        return stack[:2], iou
    if kind == "does not fit":
        return stack[:, :, 1:], iou
    return stack.astype(np.uint8), iou


@pytest.mark.parametrize("kind", ["not a number", "belong together", "does not fit", "uint8"])
def test_the_guilty_trial_fails_alone(kind: str) -> None:
    truth = np.zeros((9, 9), np.bool_)
    truth[2:5, 3:7] = True
    truths = [TruthBorder.from_mask(truth, (1, 1))] * 3
    rng = np.random.default_rng(1)
    stacks: list[Any] = [rng.random((4, 9, 9)) < 0.5 for _ in truths]
    ious: list[Any] = [np.array([0.5, 0.6, 0.7, 0.8], np.float32) for _ in truths]
    well = score_batch(truths, stacks, ious, IDS[0])
    stacks[1], ious[1] = _broken(kind, stacks[1], ious[1])
    here = score_batch(truths, stacks, ious, IDS[0])
    on_tensors = score_batch(truths, [there(stack) for stack in stacks], ious, IDS[0])
    for found in (here, on_tensors):
        assert isinstance(found[1], SamscopeError)
        assert kind in str(found[1])
        assert_same(found[0], well[0])
        assert_same(found[2], well[2])
    assert_same(on_tensors[1], here[1])


def test_no_trials_give_no_rows() -> None:
    assert score_batch([], [], [], IDS[0]) == []


@given(
    st.integers(0, 6),
    shapes(20).flatmap(
        lambda s: st.tuples(st.lists(not_empty(s), min_size=1, max_size=3), st.just(s))
    ),
    st.data(),
)
def test_everything_of_both_twins(
    k: int, drawn: tuple[list[Mask], tuple[int, int]], data: st.DataObject
) -> None:
    objects, shape = drawn
    stack = np.zeros((k, *shape), np.bool_)
    for i in range(k):
        stack[i] = data.draw(masks(shape))
    spacings = st.sampled_from(SPACINGS)
    truths = [TruthBorder.from_mask(mask, data.draw(spacings)) for mask in objects]
    points = [
        (data.draw(st.integers(0, shape[1] - 1)), data.draw(st.integers(0, shape[0] - 1)))
        for _ in objects
    ]
    here, away = (EverythingScorer.from_masks(_everything(stack, kind)) for kind in (False, True))
    assert away.rows() == here.rows()
    expected, found = (scorer.score_all(truths, points) for scorer in (here, away))
    for one, other in zip(found, expected, strict=True):
        assert not isinstance(one, Exception), one
        assert_same(one, other)


def _everything(stack: Mask, away: bool) -> EverythingMasks:
    k, _, width = stack.shape
    packed: Any = np.packbits(stack, axis=-1)
    iou = np.linspace(0.99, 0.9, k).astype(np.float32)
    return EverythingMasks(
        there(packed) if away else packed, width, iou, iou, np.zeros((k, 2)), np.zeros(k, int), k
    )


def test_an_object_of_another_size_fails_alone_under_everything() -> None:
    stack = np.ones((2, 6, 7), np.bool_)
    fits, too_small = (TruthBorder.from_mask(np.ones(s, np.bool_)) for s in ((6, 7), (5, 7)))
    for away in (False, True):
        scorer = EverythingScorer.from_masks(_everything(stack, away))
        good, bad, also = scorer.score_all([fits, too_small, fits], [(0, 0)] * 3)
        assert isinstance(bad, SamscopeError)
        assert good == also == scorer.score(fits, (0, 0))


def test_masks_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is integers, window sides and seven numbers a direction, never a mask."""
    size = (60, 90)
    rng = np.random.default_rng(0)
    truths = [TruthBorder.from_mask(_drawn(rng, size), (0.5, 2.0)) for _ in range(2)] * 4
    stacks = [there(np.stack([_drawn(rng, size) for _ in range(4)])) for _ in truths]
    copied: list[int] = []

    def spied(name: str) -> Any:
        method = getattr(torch.Tensor, name)

        def spy(self: torch.Tensor, *arguments: Any) -> Any:
            copied.append(self.numel() * self.element_size())
            return method(self, *arguments)

        return spy

    for name in ("cpu", "numpy", "tolist", "item"):
        monkeypatch.setattr(torch.Tensor, name, spied(name))
    ious: Sequence[Any] = [np.full(4, 0.5, np.float32)] * 8
    assert not any(isinstance(s, Exception) for s in score_batch(truths, stacks, ious, IDS[0]))
    pairs = 3 * len(truths)
    assert 0 < sum(copied) < 2 * (len(truths) * 4 * 16 + sum(size) + pairs * 2 * 13 * 8) + 100


def test_a_truth_goes_to_a_device_once_and_leaves_with_its_object() -> None:
    truth = TruthBorder.from_mask(np.ones((4, 5), np.bool_))
    device = torch.device("cpu")
    prepared = on_device(truth, device)
    assert on_device(truth, device) is prepared
    gone = ref(prepared)
    del prepared, truth
    gc.collect()
    assert gone() is None
