"""One unit through the evaluator with a model whose answers can be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import scores as score_oracle
from toys import (
    AREA,
    CARD,
    SIZE,
    Spy,
    accounted,
    assert_failed,
    evaluate,
    image,
    labels,
    selections,
    stages,
    study,
    trial,
    unit,
)

from engine.collection.contract import SlicePixels
from engine.prompts.base import Box
from engine.prompts.strategies import PROMPTERS
from engine.results.schema import DISTANCES

BLOCK, STRIP = "0/block", "0/strip"
JITTERED = {"levels": [[0, 0], [5, 10]], "trials": 2}
SINGLE_ONLY = replace(CARD, candidates=(3,))


def test_a_box_gives_the_counts_of_the_four_rectangles() -> None:
    cells = evaluate(study())
    assert list(cells) == ["factors", "box"]
    rows = cells["box"]
    assert (rows.done, rows.failed, accounted(rows)) == (4, 0, (4, 0))
    row = trial(rows, BLOCK)
    assert (row["model"], row["strategy"], row["status"]) == ("fake", "box", "ok")
    assert (row["jitter_lo"], row["jitter_hi"], row["trial"], row["step"]) == (0, 0, 0, 0)
    assert row["prompt"] == {"points": [], "box": {"x0": 6, "y0": 8, "x1": 29, "y1": 27}}
    assert (row["gt_px"], row["n_candidates"], row["notes"]) == (480, 4, [])
    # The box is 24 x 20: less and more 6 columns and 5 rows, then less 2 and 2.
    assert [(c["candidate"], c["tp"], c["pred_px"]) for c in row["candidates"]] == [
        (0, 480, 480), (1, 12 * 10, 12 * 10), (2, 480, 36 * 30), (3, 20 * 16, 20 * 16)
    ]  # fmt: skip
    assert [c["predicted_iou"] for c in row["candidates"]] == pytest.approx([0.9, 0.7, 0.95, 0.8])
    chosen = selections(row)
    assert {name: s["candidate"] for name, s in chosen.items()} == {
        "oracle": 0, "predicted_iou": 2, "single": 3
    }  # fmt: skip
    assert {name: (s["tp"], s["pred_px"]) for name, s in chosen.items()} == {
        "oracle": (480, 480), "predicted_iou": (480, 1080), "single": (320, 320)
    }  # fmt: skip
    assert [s["predicted_iou"] for s in chosen.values()] == pytest.approx([0.9, 0.95, 0.8])
    assert chosen["oracle"]["hausdorff_px"] == 0.0


def test_each_level_and_trial_of_each_object_is_there_once() -> None:
    rows = evaluate(study(strategies=["point_1", "box"], jitter=JITTERED))["point_1"]
    assert accounted(rows) == (12, 0)
    trials = rows.tables["trials"]
    key = ("object_id", "jitter_lo", "jitter_hi", "trial", "step")
    found = sorted(tuple(row[name] for name in key) for row in trials)
    assert found == sorted(
        (f"toy/case/0/{index}/{name}", lo, hi, number, 0)
        for index in range(2)
        for name in AREA
        for lo, hi, number in ((0, 0, 0), (5, 10, 0), (5, 10, 1))
    )
    for row in trials:
        if row["object_id"].endswith("block"):  # its mean is (17.5, 17.5), rounded up
            at_rest = row["prompt"]["points"] == [{"x": 18, "y": 18, "positive": True}]
            assert at_rest == (row["jitter_hi"] == 0)


def test_everything_is_scored_against_the_tiles_by_hand() -> None:
    rows = evaluate(study(strategies=["everything"]))["everything"]
    assert accounted(rows) == (4, 0)
    # Tile t ranks (7 t) mod 16: candidates 0, 1, 2 ... are the tiles 0, 7, 14, 5, 12, 3, 10 ...
    candidates = [c for c in rows.tables["slice_candidates"] if c["slice_id"] == "toy/case/0/0"]
    assert len(candidates) == 16 == len(rows.tables["slice_candidates"]) // 2
    assert [c["candidate"] for c in candidates] == list(range(16))
    assert [(c["point_x"], c["point_y"]) for c in candidates[:4]] == [
        (7.5, 7.5), (55.5, 23.5), (39.5, 55.5), (23.5, 23.5)
    ]  # fmt: skip
    assert {c["pred_px"] for c in candidates} == {16 * 16}
    assert [c["predicted_iou"] for c in candidates] == pytest.approx(
        [0.99 - 0.005 * rank for rank in range(16)]
    )
    overlaps = {
        name: [(o["candidate"], o["tp"]) for o in rows.tables["overlaps"]
               if o["object_id"].endswith(name)]
        for name in (BLOCK, STRIP)
    }  # fmt: skip
    # The block lies on the tiles 0, 1, 4 and 5; the strip on 4, 5, 6 and 7.
    assert overlaps[BLOCK] == [(0, 8 * 10), (3, 12 * 14), (7, 8 * 14), (12, 12 * 10)]
    assert overlaps[STRIP] == [(1, 64), (3, 64), (10, 64), (12, 64)]
    block, strip = trial(rows, BLOCK), trial(rows, STRIP)
    for row in (block, strip):
        assert (row["candidates"], row["n_candidates"]) == ([], 16)
        assert (row["jitter_lo"], row["jitter_hi"], row["trial"]) == (0, 0, 0)
    # point_1 of the block is (18, 18) in tile 5; that of the strip (32, 22) in tile 6, while the
    # oracle has the choice of four equal tiles and takes the one that comes first.
    assert {n: s["candidate"] for n, s in selections(block).items()} == {
        "oracle": 3, "predicted_iou": 3
    }  # fmt: skip
    assert {n: (s["candidate"], s["tp"], s["pred_px"]) for n, s in selections(strip).items()} == {
        "oracle": (1, 64, 256), "predicted_iou": (10, 64, 256)
    }  # fmt: skip
    tile = np.zeros((SIZE, SIZE), np.bool_)
    tile[16:32, 32:48] = True
    measured = score_oracle.distances(tile, labels()[1] == 3, (0.8, 0.7))
    assert {n: selections(strip)["predicted_iou"][n] for n in measured} == pytest.approx(measured)


def test_the_params_of_everything_reach_the_model() -> None:
    strict = {"name": "strict", "kind": "everything", "params": {"pred_iou_thresh": 0.9799}}
    rows = evaluate(study(strategies=[strict]))["strict"]
    # Ranks 0, 1 and 2 are rated 0.99, 0.985 and 0.98: the tiles 0, 7 and 14.
    assert {row["n_candidates"] for row in rows.tables["trials"]} == {3}
    chosen = selections(trial(rows, BLOCK))
    assert (chosen["oracle"]["candidate"], chosen["oracle"]["tp"]) == (0, 80)
    missed = chosen["predicted_iou"]
    assert (missed["status"], missed["candidate"], missed["tp"]) == ("empty_prediction", None, 0)
    assert trial(rows, BLOCK)["status"] == "ok"


def test_one_embedding_serves_all_strategies() -> None:
    model = Spy()
    evaluate(study(strategies=["everything", "point_1", "point_5", "box"]), model=model)
    assert len(model.images) == 2


def test_a_model_of_one_mask_has_it_stand_for_every_selection() -> None:
    rows = evaluate(study(), model=Spy(SINGLE_ONLY))["box"]
    assert accounted(rows) == (4, 0)
    row = trial(rows, BLOCK)
    assert [c["candidate"] for c in row["candidates"]] == [3]
    assert {n: (s["candidate"], s["tp"]) for n, s in selections(row).items()} == {
        "oracle": (3, 320), "predicted_iou": (3, 320), "single": (3, 320)
    }  # fmt: skip
    failed = evaluate(study(), model=Spy(SINGLE_ONLY, fail_on_width=SIZE))["box"]
    assert_failed(trial(failed, BLOCK), ["oracle", "predicted_iou", "single"])


def test_a_model_without_the_single_mask_has_no_such_selection() -> None:
    card = replace(CARD, candidates=(0, 1, 2))
    for model in (Spy(card), Spy(card, fail_on_width=SIZE)):
        row = trial(evaluate(study(), model=model)["box"], BLOCK)
        assert list(selections(row)) == ["oracle", "predicted_iou"]


@pytest.fixture
def clicks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A strategy of two steps: the centre, then the leftmost pixel of the mask shown."""
    monkeypatch.setitem(PROMPTERS._entries, "points", "toys:two_clicks")
    return {"name": "clicks", "kind": "points", "params": {}}


def test_the_second_step_reacts_to_the_mask_the_model_prefers(clicks: dict[str, Any]) -> None:
    model = Spy(radii=(8, 4, 16, 12), predicted_iou=(0.7, 0.95, 0.9, 0.8))
    rows = evaluate(study(strategies=[clicks]), model=model)["clicks"]
    assert accounted(rows) == (4, 0)
    assert len(rows.tables["trials"]) == 8, "two steps of four trials"
    first, second = trial(rows, BLOCK, step=0), trial(rows, BLOCK, step=1)
    picks = {name: s["candidate"] for name, s in selections(first).items()}
    assert picks == {"oracle": 2, "predicted_iou": 1, "single": 3}
    assert first["prompt"]["points"] == [{"x": 17, "y": 17, "positive": True}]
    # The disc of radius 4 around (17, 17), not that of 16, 12 or 8.
    assert second["prompt"]["points"] == [{"x": 13, "y": 17, "positive": True}]
    assert [c["tp"] for c in second["candidates"]][1] == 49, "a disc of radius 4 inside the block"


def test_the_second_step_of_a_model_of_one_mask_reacts_to_that(clicks: dict[str, Any]) -> None:
    model = Spy(SINGLE_ONLY, radii=(8, 4, 16, 7))
    rows = evaluate(study(strategies=[clicks]), model=model)["clicks"]
    assert trial(rows, BLOCK, step=1)["prompt"]["points"] == [{"x": 10, "y": 17, "positive": True}]


def test_a_failing_second_step_fails_its_trial_once(clicks: dict[str, Any]) -> None:
    radii, rated = (8, 4, 16, 12), (0.7, 0.95, 0.9, 0.8)
    model = Spy(radii=radii, predicted_iou=rated, fail_on_x=13)  # the block's second click
    rows = evaluate(study(strategies=[clicks]), model=model)["clicks"]
    assert accounted(rows) == (2, 2)
    assert stages(rows) == {"decode"}
    assert trial(rows, BLOCK, step=0)["status"] == "ok"
    assert_failed(trial(rows, BLOCK, step=1), ["oracle", "predicted_iou", "single"])
    assert trial(rows, STRIP, step=1)["status"] == "ok"


def test_a_trial_whose_first_step_fails_has_no_second(clicks: dict[str, Any]) -> None:
    rows = evaluate(study(strategies=[clicks]), model=Spy(fail_on_x=17))["clicks"]
    assert accounted(rows) == (2, 2)
    assert_failed(trial(rows, BLOCK, step=0), ["oracle", "predicted_iou", "single"])
    assert [r["step"] for r in rows.tables["trials"] if r["object_id"].endswith(BLOCK)] == [0]
    assert [r["step"] for r in rows.tables["trials"] if r["object_id"].endswith(STRIP)] == [0, 1]


def test_a_flat_slice_is_said_to_be_flat() -> None:
    flat = SlicePixels(np.full((SIZE, SIZE), 40, np.int16), labels())
    factors = evaluate(study(), unit([flat, SlicePixels(image(), labels())]))["factors"]
    assert [(row["object_id"][11:], row["flat"]) for row in factors.tables["factors"]] == [
        ("0/block", True), ("0/strip", True), ("1/block", False), ("1/strip", False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("intensity", "lo", "hi"),
    [
        ({"window": [40, 200]}, -60.0, 140.0),
        ({"scope": "volume"}, -300.0, 300.0),
        ({}, -201.0, 199.0),
    ],
)
def test_the_model_sees_the_slice_under_the_studys_intensity(
    intensity: dict[str, Any], lo: float, hi: float
) -> None:
    stored = image()
    stored[0, 1] = 199
    model = Spy()
    made = unit([SlicePixels(stored, labels())])
    rows = evaluate(study(intensity=intensity), made, model)["factors"]
    (seen,) = model.images
    scaled = np.clip((stored.astype(np.float64) - lo) / (hi - lo), 0, 1)
    expected: NDArray[np.uint8] = np.rint(255 * scaled).astype(np.uint8)
    assert seen.dtype == np.uint8
    assert np.array_equal(seen, expected)
    assert {row["flat"] for row in rows.tables["factors"]} == {False}


def test_tolerances_and_spacing_reach_the_scores() -> None:
    """Rows and columns of different spacing: the larger box is 5 rows and 6 columns too wide."""
    spacing = (0.5, 2.0)
    made = study(nsd_tolerance_px=5.5, nsd_tolerance_mm=3.5)
    chosen = selections(trial(evaluate(made, unit(spacing=spacing))["box"], BLOCK))
    truth = labels()[0] == 1
    boxes = {
        "oracle": Box(6, 8, 29, 27),
        "predicted_iou": Box(0, 3, 35, 32),
        "single": Box(8, 10, 27, 25),
    }
    for name, box in boxes.items():
        mask = np.zeros_like(truth)
        mask[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1] = True
        expected = score_oracle.distances(mask, truth, spacing, 5.5, 3.5)
        assert {key: chosen[name][key] for key in DISTANCES} == pytest.approx(expected, abs=1e-9)
    wide = chosen["predicted_iou"]
    assert wide["hausdorff_mm"] == pytest.approx(np.hypot(5 * 0.5, 6 * 2.0))
    default = selections(trial(evaluate(study(), unit(spacing=spacing))["box"], BLOCK))
    assert 0 < default["predicted_iou"]["nsd"] + 0.1 < wide["nsd"] < 1
    assert default["predicted_iou"]["nsd_mm"] + 0.1 < wide["nsd_mm"] < 1


def test_without_spacing_there_are_no_millimetres() -> None:
    chosen = selections(trial(evaluate(study(), unit(spacing=(None, 0.7)))["box"], BLOCK))
    for selection in chosen.values():
        assert {n: selection[n] for n in DISTANCES if n.endswith("mm")} == {
            "hausdorff_mm": None, "hd95_mm": None, "assd_mm": None, "nsd_mm": None
        }  # fmt: skip
        assert selection["hausdorff_px"] is not None
