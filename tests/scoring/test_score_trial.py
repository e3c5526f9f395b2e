"""A trial's rows: equal to the oracles, fit for Arrow, and no distance computed twice."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import scores as oracle
from oracles.masks import Mask, masks, objects

from engine.errors import SamscopeError
from engine.results import schema
from engine.scoring import (
    CandidateRow,
    OverlapRow,
    SelectionRow,
    SliceCandidateRow,
    TrialScores,
    TruthBorder,
    failed_selections,
    score_trial,
)

SAM = (0, 1, 2, 3)


def check(
    scores: TrialScores,
    truth: Mask,
    preds: Mask,
    ious: np.ndarray,
    ids: tuple[int, ...],
    spacing: tuple[float, float] | None,
) -> None:
    """Everything a trial says, from brute force."""
    counts = [oracle.counts(mask, truth) for mask in preds]
    assert [asdict(row) for row in scores.candidates] == [
        {"candidate": i, "predicted_iou": float(v), "tp": c[0], "pred_px": c[1]}
        for i, v, c in zip(ids, ious, counts, strict=True)
    ]
    judged = ids[:3] if len(ids) > 1 else ids
    expected = {
        "oracle": oracle.oracle(judged, preds[: len(judged)], truth),
        "predicted_iou": oracle.predicted_iou(judged, ious[: len(judged)].tolist()),
        "single": 3,
    }
    assert [row.selection for row in scores.selections] == list(schema.SELECTIONS)
    for row in scores.selections:
        place = ids.index(expected[row.selection])
        mask = preds[place]
        assert row.candidate == ids[place]
        assert row.predicted_iou == float(ious[place])
        assert (row.tp, row.pred_px) == counts[place][:2]
        assert row.status == ("ok" if mask.any() else "empty_prediction")
        for name, value in oracle.distances(mask, truth, spacing).items():
            found = getattr(row, name)
            assert found == (None if value is None else pytest.approx(value, abs=1e-9)), name


@given(objects(14), st.sampled_from([SAM, (3,)]), st.data())
@settings(max_examples=50)
def test_rows_equal_the_oracles(truth: Mask, ids: tuple[int, ...], data: st.DataObject) -> None:
    preds = np.stack([data.draw(masks(truth.shape)) for _ in ids])
    values = st.sampled_from([0.25, 0.5, 0.75])
    ious = np.array([data.draw(values) for _ in ids], dtype=np.float32)
    spacing = data.draw(st.sampled_from([None, (0.5, 0.5), (0.5, 2.0)]))
    prepared = TruthBorder.from_mask(truth, spacing)
    check(score_trial(prepared, preds, ious, ids), truth, preds, ious, ids, spacing)


def test_rows_go_to_arrow_under_the_stored_names() -> None:
    for row, struct in ((CandidateRow, schema.CANDIDATE), (SelectionRow, schema.SELECTION)):
        assert [f.name for f in fields(row)] == [
            struct.field(i).name for i in range(struct.num_fields)
        ]
    assert {f.name for f in fields(OverlapRow)} <= set(schema.OVERLAPS.names)
    assert {f.name for f in fields(SliceCandidateRow)} <= set(schema.SLICE_CANDIDATES.names)
    truth = np.zeros((6, 6), dtype=bool)
    truth[2:4, 2:4] = True
    preds = np.stack([truth, ~truth, truth, np.zeros_like(truth)])
    ious = np.full(4, 0.5, dtype=np.float32)
    scores = score_trial(TruthBorder.from_mask(truth, (1, 1)), preds, ious, SAM)
    rows = [asdict(row) for row in (*scores.selections, *failed_selections(schema.SELECTIONS))]
    table = pa.array(rows, type=schema.SELECTION)
    assert table.to_pylist() == rows
    pa.array([asdict(row) for row in scores.candidates], type=schema.CANDIDATE).validate(full=True)


def test_each_selected_mask_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.zeros((8, 8), dtype=bool)
    truth[2:6, 2:6] = True
    preds = np.stack([truth, np.roll(truth, 1, 0), np.roll(truth, 2, 0), np.roll(truth, 1, 1)])
    seen: list[bytes] = []
    measure = TruthBorder.distances

    def spy(self: TruthBorder, mask: Mask) -> object:
        seen.append(mask.tobytes())
        return measure(self, mask)

    monkeypatch.setattr(TruthBorder, "distances", spy)
    prepared = TruthBorder.from_mask(truth)
    score_trial(prepared, preds, np.array([0.9, 0.5, 0.5, 0.5]), SAM)
    assert seen == [preds[0].tobytes(), preds[3].tobytes()]


def test_failed_rows_say_only_that() -> None:
    (row, *_) = failed_selections(("oracle", "predicted_iou"))
    assert asdict(row) == {
        **dict.fromkeys(schema.SELECTION.field(i).name for i in range(schema.SELECTION.num_fields)),
        "selection": "oracle",
        "status": "failed",
    }


def test_what_does_not_belong_together_is_refused() -> None:
    prepared = TruthBorder.from_mask(np.ones((4, 4), dtype=bool))
    preds = np.ones((4, 4, 4), dtype=bool)
    with pytest.raises(SamscopeError, match="belong together"):
        score_trial(prepared, preds, np.zeros(3), SAM)
    with pytest.raises(SamscopeError, match="belong together"):
        score_trial(prepared, preds[0], np.zeros(4), SAM)
    with pytest.raises(SamscopeError, match="not a number"):
        score_trial(prepared, preds, np.array([0, 0, 0, np.nan]), SAM)
    with pytest.raises(SamscopeError, match="does not fit"):
        score_trial(prepared, preds[:, :3], np.zeros(4), SAM)


def test_real_masks_equal_the_oracles(shared_data: Path) -> None:
    """Structures of a whole-heart slice against shifted, grown and cut versions of each other."""
    from PIL import Image
    from scipy import ndimage

    files = sorted((shared_data / "hvsmr_whole_heart_cmr").rglob("masks/*.png"))
    if not files:
        pytest.skip("no whole-heart masks in the shared data")
    colours = np.asarray(Image.open(files[3]).convert("RGB")).astype(np.int64) @ [65536, 256, 1]
    objects_ = [colours == value for value in np.unique(colours[colours > 0]).tolist()]
    assert objects_
    for truth in objects_:
        preds = np.stack(
            [
                np.roll(truth, (3, -5), (0, 1)),
                ndimage.binary_dilation(truth, iterations=2),
                objects_[0] ^ truth,
                np.triu(truth),
            ]
        )
        ious = np.array([0.5, 0.5, 0.25, 0.9], dtype=np.float32)
        prepared = TruthBorder.from_mask(truth, (0.7, 1.3))
        check(score_trial(prepared, preds, ious, SAM), truth, preds, ious, SAM, (0.7, 1.3))
