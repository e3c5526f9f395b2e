"""What fails on its way through the evaluator takes nothing else along, and is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toys import (
    AREA,
    SIZE,
    Spy,
    accounted,
    assert_failed,
    evaluate,
    image,
    labels,
    stages,
    study,
    trial,
    unit,
)

import engine.evaluate
import engine.evaluation.fanout
from engine.collection.contract import SlicePixels
from engine.evaluation.trials import SMALLER_BATCH

BLOCK, STRIP = "0/block", "0/strip"
JITTERED = {"levels": [[0, 0], [5, 10]], "trials": 2}


@pytest.mark.parametrize("strategy", ["everything", "point_1"])
def test_a_slice_that_cannot_be_embedded_fails_whole(strategy: str) -> None:
    made = study(strategies=[strategy], jitter=JITTERED)
    rows = evaluate(made, model=Spy(fail_on_width=SIZE))[strategy]
    expected = 4 if strategy == "everything" else 12
    assert accounted(rows) == (0, expected)
    assert len(rows.tables["trials"]) == expected
    names = ["oracle", "predicted_iou"] + ["single"] * (strategy != "everything")
    for row in rows.tables["trials"]:
        assert_failed(row, names)
        assert row["prompt"] is None
    assert stages(rows) == {"embed"}
    assert {f["error"] for f in rows.tables["failures"]} == {"FakeFailureError"}
    assert "64 pixels wide" in rows.tables["failures"][0]["message"]


def test_only_the_slice_that_cannot_be_embedded_fails() -> None:
    made = unit()
    made[1][1].image[0, 0] = 500  # rendered as 255
    made = unit(made[1])
    cells = evaluate(study(strategies=["everything", "box"]), made, Spy(fail_on_corner=255))
    for strategy in ("everything", "box"):
        rows = cells[strategy]
        assert accounted(rows) == (2, 2)
        assert {f["slice_id"] for f in rows.tables["failures"]} == {"toy/case/0/1"}
        good = [r["object_id"] for r in rows.tables["trials"] if r["status"] == "ok"]
        assert good == [f"toy/case/0/{BLOCK}", f"toy/case/0/{STRIP}"]
    assert accounted(cells["factors"]) == (4, 0)


def test_a_model_whose_everything_fails_fails_that_cell_alone() -> None:
    model = Spy()
    model.broken_everything = True
    cells = evaluate(study(strategies=["everything", "box"]), model=model)
    rows = cells["everything"]
    assert accounted(rows) == (0, 4)
    for row in rows.tables["trials"]:
        assert_failed(row, ["oracle", "predicted_iou"])
    assert stages(rows) == {"decode"}
    assert not rows.tables["slice_candidates"]
    assert not rows.tables["overlaps"]
    assert accounted(cells["box"]) == (4, 0)


def test_only_the_trial_that_cannot_be_scored_fails() -> None:
    model = Spy()
    model.unrated = 6  # the block's box, in the same batch as the strip's
    rows = evaluate(study(), model=model)["box"]
    assert accounted(rows) == (2, 2)
    assert_failed(trial(rows, BLOCK), ["oracle", "predicted_iou", "single"])
    assert trial(rows, BLOCK)["prompt"]["box"]["x0"] == 6, "what was asked is known"
    assert trial(rows, STRIP)["status"] == "ok"
    assert stages(rows) == {"score"}
    assert {f["error"] for f in rows.tables["failures"]} == {"SamscopeError"}
    assert [f["object_id"] for f in rows.tables["failures"]] == [
        f"toy/case/0/{index}/block" for index in range(2)
    ]


def test_only_the_trial_that_cannot_be_decoded_fails() -> None:
    model = Spy(fail_on_x=6)
    rows = evaluate(study(), model=model)["box"]
    assert accounted(rows) == (2, 2)
    assert_failed(trial(rows, BLOCK), ["oracle", "predicted_iou", "single"])
    assert stages(rows) == {"decode"}
    assert {f["error"] for f in rows.tables["failures"]} == {"FakeFailureError"}
    unharmed = evaluate(study())["box"]
    assert trial(rows, STRIP) == trial(unharmed, STRIP)
    # A decoder's last bits depend on the shape of its batch, so a second try must keep it.
    assert {len(batch) for batch in model.batches} == {2}


@pytest.mark.parametrize("fits", [1, 2, 7])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(fits: int) -> None:
    """The rows are those of whole batches, with a note; nothing fails."""
    given = study(strategies=["point_1", "box"], jitter={"levels": [[0, 0], [0, 10]], "trials": 5})
    calm = evaluate(given)
    tight = evaluate(given, model=Spy(fits=fits))
    assert accounted(tight["box"]) == accounted(calm["box"])
    for strategy in ("point_1", "box"):
        rows, wanted = tight[strategy].tables["trials"], calm[strategy].tables["trials"]
        assert len(rows) == 2 * 2 * 6
        assert all(SMALLER_BATCH in row["notes"] for row in rows)
        assert not any(SMALLER_BATCH in row["notes"] for row in wanted)
        bare = [{**row, "notes": [n for n in row["notes"] if n != SMALLER_BATCH]} for row in rows]
        assert bare == wanted


def test_a_prompt_that_does_not_fit_alone_fails() -> None:
    rows = evaluate(study(), model=Spy(fits=0))["box"]
    assert {row["status"] for row in rows.tables["trials"]} == {"failed"}
    assert {row["error"] for row in rows.tables["failures"]} == {"MemoryError"}


def test_factors_that_cannot_be_computed_fail_their_object_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compute = engine.evaluate.compute_factors

    def only_the_strip(mask: NDArray[np.bool_], grey: NDArray[Any]) -> dict[str, Any]:
        if mask.sum() == AREA["block"]:
            raise ValueError("asked to fail on blocks")
        return dict(compute(mask, grey))

    monkeypatch.setattr(engine.evaluate, "compute_factors", only_the_strip)
    cells = evaluate(study())
    rows = cells["factors"]
    assert accounted(rows) == (2, 2)
    assert {row["object_id"] for row in rows.tables["factors"]} == {
        "toy/case/0/0/strip", "toy/case/0/1/strip"
    }  # fmt: skip
    (failure, _) = rows.tables["failures"]
    assert (failure["slice_id"], failure["object_id"]) == ("toy/case/0/0", "toy/case/0/0/block")
    assert (failure["model"], failure["strategy"], failure["stage"]) == ("-", "factors", "factors")
    assert (failure["error"], failure["n_trials"]) == ("ValueError", 1)
    assert failure["message"] == "asked to fail on blocks"
    assert accounted(cells["box"]) == (4, 0)


@pytest.mark.parametrize("off", [-1, 1])
def test_an_object_of_another_size_than_the_catalog_says_fails_alone(off: int) -> None:
    made, pixels = unit()
    first, second = made.slices
    wrong = replace(second.objects[0], area_px=AREA["block"] + off)
    second = replace(second, objects=(wrong, *second.objects[1:]))
    model = Spy()
    made = replace(made, slices=(first, second))
    cells = evaluate(study(strategies=["everything", "box"]), (made, pixels), model)
    assert {len(batch) for batch in model.batches} == {2, 1}, "it is not asked for"
    for rows in cells.values():
        assert accounted(rows) == (3, 1)
        (failure,) = rows.tables["failures"]
        assert (failure["stage"], failure["error"]) == ("read", "CorruptDataError")
        assert failure["object_id"] == "toy/case/0/1/block"


def test_an_object_without_its_layer_fails_alone() -> None:
    made, pixels = unit()
    broken = SlicePixels(pixels[1].image, pixels[1].labels[:1])
    cells = evaluate(study(strategies=["everything", "box"]), (made, [pixels[0], broken]))
    for rows in cells.values():
        assert accounted(rows) == (3, 1)
        (failure,) = rows.tables["failures"]
        assert (failure["stage"], failure["object_id"]) == ("read", "toy/case/0/1/strip")


def test_a_slice_that_cannot_be_rendered_fails_whole() -> None:
    """A window has no meaning for deep RGB images."""
    deep = SlicePixels(np.ones((SIZE, SIZE, 3), np.uint16), labels())
    made = unit([SlicePixels(image(), labels()), deep])
    cells = evaluate(study(strategies=["everything", "box"], intensity={"window": [0, 9]}), made)
    for rows in cells.values():
        assert accounted(rows) == (2, 2)
        assert stages(rows) == {"read"}
        assert {f["slice_id"] for f in rows.tables["failures"]} == {"toy/case/0/1"}


def test_a_strategy_that_breaks_half_way_leaves_no_half_of_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error outside every guard, after some trials were scored."""
    honest = engine.evaluation.fanout.batches

    def one_then_none(*given: Any) -> Iterator[tuple[Any, ...]]:
        steps = next(iter(honest(*given)))
        yield steps[:1]
        raise ZeroDivisionError("half way")

    monkeypatch.setattr("engine.evaluation.fanout.batches", one_then_none)
    cells = evaluate(study(strategies=["everything", "box"]))
    assert accounted(cells["box"]) == (0, 4)
    assert len(cells["box"].tables["trials"]) == 4
    assert stages(cells["box"]) == {"evaluate"}
    assert accounted(cells["everything"]) == (4, 0)
