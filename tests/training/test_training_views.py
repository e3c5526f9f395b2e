"""Images, random views and prompts of a training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import prompts as by_hand
from oracles import training as oracle
from training.small import config, disc_sample

from engine.prompts import ObjectGeometry
from engine.study import PAPER_STRATEGIES
from engine.training.batches import ahead, make_work, numbers_of, total_steps
from engine.training.config import Prompting, Variation
from engine.training.losses import coverage
from engine.training.prompting import draw_prompt, draw_strategies
from engine.training.samples import Shelf, population_of
from engine.training.variation import varied

PROMPTED = [name for name in PAPER_STRATEGIES if name != "everything"]


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_a_shelf_gives_the_stored_slice(tmp_path: Path, collection: Path) -> None:
    people = population_of(config(tmp_path), collection)
    shelf = Shelf(collection, [m.ref for m in people.members], config(tmp_path).data.intensity)
    assert len(shelf) == 4 * 3
    for number in (0, 5, 0):  # read, read, kept
        sample, ref = shelf[number], people.members[number].ref
        assert sample.object_ids == tuple(o.object_id for o in ref.objects)
        assert (sample.image.dtype, sample.image.shape) == (np.uint8, (64, 64))
        z = int(ref.index)
        block = np.zeros((64, 64), bool)
        block[8 + z : 28 + z, 6:30] = True
        assert any((mask == block).all() for mask in sample.masks)


def test_a_full_shelf_forgets_the_longest_unused(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.samples.CACHE_BYTES", 3 * (64 * 64 + 2 * 64 * 8))
    people = population_of(config(tmp_path), collection)
    shelf = Shelf(collection, [m.ref for m in people.members], config(tmp_path).data.intensity)
    for number in (0, 1, 2, 0, 3):
        shelf[number]
    assert list(shelf._kept) == [2, 0, 3]


@given(st.integers(0, 10**6))
def test_mirrored_and_cut_images_keep_their_masks(seed: int) -> None:
    """The grey level of a pixel says which object it is in, wherever it went."""
    how = Variation(crop=0.7, smallest=0.5, mirror=True)
    view = varied(disc_sample(), how, 10, rng_of(seed))
    assert view.masks.shape[1:] == view.image.shape
    level = {"a": 110, "b": 170}
    for name, mask in zip(view.object_ids, view.masks, strict=True):
        assert mask.sum() > 10
        assert (mask == (view.image == level[name])).all()


def test_grey_levels_leave_the_masks_and_nothing_leaves_all() -> None:
    sample = disc_sample()
    grey = varied(sample, Variation(intensity=1.0), 10, rng_of(1))
    assert (grey.masks == sample.masks).all()
    assert not (grey.image == sample.image).all()
    assert varied(sample, Variation(mirror=True), 10**6, rng_of(1)).object_ids == ("a", "b")


@pytest.mark.parametrize("name", PROMPTED)
def test_prompts_at_rest_are_the_protocols(name: str) -> None:
    how = Prompting(strategies={name: 1})
    params = how.strategy(name).params.model_dump()
    for mask in disc_sample().masks:
        prompt = draw_prompt(ObjectGeometry.from_mask(mask), name, how, rng_of(0))
        points, box, _ = by_hand.prompt(
            mask.tolist(), positive=params.get("positive", 0), negative=params.get("negative", 0),
            with_box="box" in name, seed=0, lo=0, hi=0,
        )  # fmt: skip
        assert [(p.x, p.y, p.positive) for p in prompt.points] == points
        found = (
            None
            if prompt.box is None
            else [getattr(prompt.box, c) for c in ("x0", "y0", "x1", "y1")]
        )
        assert found == box


@given(st.integers(0, 10**6), st.sampled_from(PROMPTED))
def test_random_points_lie_in_the_object_and_boxes_hold_it(seed: int, name: str) -> None:
    how = Prompting(strategies={name: 1}, random_points=1.0)
    for mask in disc_sample().masks:
        prompt = draw_prompt(ObjectGeometry.from_mask(mask), name, how, rng_of(seed))
        assert all(mask[p.y, p.x] == p.positive for p in prompt.points)
        if prompt.box is not None:
            held = mask[prompt.box.y0 : prompt.box.y1 + 1, prompt.box.x0 : prompt.box.x1 + 1]
            assert held.sum() == mask.sum()


@given(st.integers(0, 10**6), st.sampled_from(PROMPTED), st.integers(0, 12))
def test_displacement_is_bounded(seed: int, name: str, most: int) -> None:
    rest = Prompting(strategies={name: 1})
    moved = Prompting(strategies={name: 1}, jittered=1.0, jitter_px=most)
    for mask in disc_sample().masks:
        geometry = ObjectGeometry.from_mask(mask)
        before = draw_prompt(geometry, name, rest, rng_of(seed))
        after = draw_prompt(geometry, name, moved, rng_of(seed))
        for p, q in zip(before.points, after.points, strict=True):
            assert np.hypot(p.x - q.x, p.y - q.y) <= most + 0.75  # and rounding
        for corner in ("x0", "y0", "x1", "y1") if before.box is not None else ():
            # sorting corners that crossed brings none further from where it was
            assert abs(getattr(before.box, corner) - getattr(after.box, corner)) <= most


def test_strategies_come_by_their_weights() -> None:
    how = Prompting(strategies={"box": 3, "point_1": 1}, per_image=4000)
    assert draw_strategies(how, rng_of(0)).count("box") == pytest.approx(3000, abs=120)
    assert draw_strategies(Prompting(strategies={"box": 3}, per_image=2), rng_of(0)) == ["box"] * 2


@given(st.integers(5, 90), st.integers(5, 90), st.integers(0, 1000))
def test_coverage_is_the_oracles(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    found = coverage(torch.from_numpy(mask[None]), 32, 8)[0].numpy()
    expected = np.array(oracle.coverage(mask.astype(int).tolist(), 32, 8), dtype=np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_slice_comes_once_an_epoch(tmp_path: Path) -> None:
    how = config(tmp_path, images=3)
    drawn = [n for step in range(20) for n in numbers_of(how, 10, step)]
    epochs = [drawn[i : i + 10] for i in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert numbers_of(config(tmp_path, images=3, seed=1), 10, 0) != drawn[:3]


def test_length_of_a_training(tmp_path: Path) -> None:
    assert total_steps(config(tmp_path, steps=7), 100) == 7
    for epochs, images, n in ((1, 2, 5), (20, 2, 5), (3, 4, 4), (1, 8, 3)):
        how = config(tmp_path, steps=None, epochs=epochs, images=images)
        steps = total_steps(how, n)
        assert (steps - 1) * images < epochs * n <= steps * images


def test_work_is_a_function_of_seed_step_and_slot(tmp_path: Path, collection: Path) -> None:
    how = config(tmp_path)
    people = population_of(how, collection)

    def work(step: int, slot: int, **more: Any) -> Any:
        shelf = Shelf(collection, [m.ref for m in people.members], how.data.intensity)
        return make_work(config(tmp_path, **more), shelf, step, slot, 3, (64, 16))

    first, again = work(5, 1), work(5, 1)
    assert (first.image == again.image).all()
    assert len(first.passes) == len(again.passes)
    for one, other in zip(first.passes, again.passes, strict=True):
        assert torch.equal(one.target, other.target)
        for field in ("coords", "labels", "boxes"):
            values = getattr(one.prompts, field), getattr(other.prompts, field)
            assert values == (None, None) or torch.equal(*values)
    for other in (work(5, 0), work(6, 1), work(5, 1, seed=9)):
        assert other.image.shape != first.image.shape or (other.image != first.image).any()


def test_objects_of_an_image_are_bounded(tmp_path: Path, collection: Path) -> None:
    strategies = {"strategies": {"box": 1}, "per_image": 3}
    for most, expected in ((1, 3), (None, 6)):
        how = config(tmp_path, "finetune", prompts={**strategies, "objects": most})
        people = population_of(how, collection)
        shelf = Shelf(collection, [m.ref for m in people.members], how.data.intensity)
        assert make_work(how, shelf, 0, 0, 3, (64, 16)).n_prompts == expected


def test_work_comes_in_order_and_a_threads_error_comes_out() -> None:
    assert list(ahead(lambda n: n * n, range(3, 20), 3)) == [n * n for n in range(3, 20)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda n: 1 // (n - 7), range(20), 2))
