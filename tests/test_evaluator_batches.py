"""Slices embedded together, and made ready ahead: the same rows, and only the guilty fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import NUMERICS, SIZE, Spy, accounted, evaluate, image, labels, stages, study, unit

import engine.evaluate
from engine.ahead import one_ahead
from engine.collection.contract import SlicePixels
from engine.collection.sampled import SampledUnit
from engine.evaluation.embedding import embed_together
from engine.evaluation.rows import CellRows
from engine.models.base import Embedding, Image

STUDY = study(
    strategies=["everything", "point_1", "box"], jitter={"levels": [[0, 0], [5, 10]], "trials": 2}
)
SLICES = 5


def made(spoiled: int | None = None, broken: int | None = None) -> Any:
    """A unit of five slices; `spoiled` cannot be embedded, `broken` cannot be rendered."""
    stored = [SlicePixels(image(seed), labels()) for seed in range(SLICES)]
    if spoiled is not None:
        stored[spoiled].image[0, 0] = 500  # rendered as 255
    if broken is not None:
        stored[broken] = SlicePixels(np.ones((SIZE, SIZE, 2), np.uint8), labels())
    return unit(stored)


def rows_of(cells: dict[str, CellRows]) -> dict[str, Any]:
    return {name: cell.tables for name, cell in cells.items()}


@pytest.mark.parametrize("device", ["cpu-avx2", "cuda-toy"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_the_rows_do_not_depend_on_how_slices_are_embedded(size: int, device: str) -> None:
    numerics = replace(NUMERICS, encode_batch=size, device=device)
    expected = evaluate(STUDY, made(1, 3), Spy(fail_on_corner=255))
    spy = Spy(fail_on_corner=255)
    assert rows_of(evaluate(STUDY, made(1, 3), spy, numerics)) == rows_of(expected)
    assert max(spy.asked) == min(size, SLICES - 1), "the slice that is not rendered is left out"
    spy = Spy()
    evaluate(STUDY, made(), spy, numerics)
    assert spy.asked == [min(size, SLICES - start) for start in range(0, SLICES, size)]


def test_only_the_slice_that_cannot_be_embedded_fails_in_a_batch() -> None:
    spy = Spy(fail_on_corner=255)
    cells = evaluate(STUDY, made(1), spy, replace(NUMERICS, encode_batch=4))
    assert spy.asked == [4, 4, 4, 4, 4, 1], "each again alone, in batches of the same shape"
    assert {cell: accounted(cells[cell]) for cell in ("factors", "everything", "box")} == {
        "factors": (10, 0), "everything": (8, 2), "box": (24, 6)
    }  # fmt: skip
    assert stages(cells["box"]) == {"embed"}
    assert {f["slice_id"] for f in cells["box"].tables["failures"]} == {"toy/case/0/1"}
    assert {f["error"] for f in cells["box"].tables["failures"]} == {"FakeFailureError"}


def test_a_slice_asked_again_keeps_its_place() -> None:
    seen: list[list[int]] = []

    class Picky(Spy):
        def embed(self, images: Any) -> list[Embedding]:
            corners = [int(one[0, 0]) for one in images]
            seen.append(corners)
            if len(set(corners)) > 1:
                raise RuntimeError("only alike")
            return [Embedding(place, 1, 1) for place, _ in enumerate(images)]

    images: list[Image] = [np.full((2, 2), level, np.uint8) for level in (7, 8, 9)]
    found = embed_together(Picky(), images)
    assert seen == [[7, 8, 9], [7, 7, 7], [8, 8, 8], [9, 9, 9]]
    assert [one.features for one in found if isinstance(one, Embedding)] == [0, 1, 2]


def test_a_model_that_answers_too_few_slices_is_found_out() -> None:
    class Forgetful(Spy):
        def embed(self, images: Any) -> list[Embedding]:
            return super().embed(images)[1:]

    cells = evaluate(STUDY, made(), Forgetful(), replace(NUMERICS, encode_batch=2))
    assert accounted(cells["box"]) == (0, 30)
    assert "another number of slices" in cells["box"].tables["failures"][0]["message"]
    assert embed_together(Spy(), []) == []


def test_scenes_are_made_in_another_thread_beside_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []
    make = engine.evaluate.make_scene

    def noted(*given: Any) -> Any:
        names.append(threading.current_thread().name)
        return make(*given)

    monkeypatch.setattr(engine.evaluate, "make_scene", noted)
    evaluate(STUDY, made())
    assert set(names) == {threading.current_thread().name}
    names.clear()
    evaluate(STUDY, made(), numerics=replace(NUMERICS, device="cuda-toy"))
    assert len(names) == SLICES
    assert all(name.startswith("one-ahead") for name in names)


@given(st.lists(st.integers(), max_size=8))
def test_one_ahead_gives_the_same_items(items: list[int]) -> None:
    assert list(one_ahead(iter(items))) == items


def test_one_and_only_one_is_made_ahead() -> None:
    made_: list[int] = []
    ready = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for number in range(5):
            made_.append(number)
            ready[number].set()
            yield number

    for number in one_ahead(items()):
        following = min(number + 1, 4)
        assert ready[following].wait(10)
        assert made_ == list(range(following + 1))


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    coming = one_ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(coming)


def test_a_reader_that_leaves_early_leaves_no_thread() -> None:
    before = threading.active_count()
    coming = one_ahead(iter(range(9)))
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_unit_is_not_touched_by_the_order_of_work() -> None:
    """Slices of several sizes share a batch."""
    unit_, stored = made()
    assert isinstance(unit_, SampledUnit)
    wide = np.pad(stored[2].labels, ((0, 0), (0, 0), (0, 9)))
    wide[1, 20:24, SIZE:] = 0
    stored[2] = SlicePixels(np.pad(stored[2].image, ((0, 0), (0, 9))), wide)
    alone = evaluate(STUDY, unit(stored))
    together = evaluate(STUDY, unit(stored), numerics=replace(NUMERICS, encode_batch=3))
    assert rows_of(alone) == rows_of(together)
    assert accounted(alone["box"]) == (30, 0)
