"""Units whose masks stay on a device: the rows of the same masks on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toys import CARD, NUMERICS, Spy, accounted, evaluate, planned, study, trial, unit

from engine.evaluate import Evaluator
from engine.evaluation.rows import CellRows, TrialKey
from engine.masks import on_host
from engine.models import load_model
from engine.models.base import Candidates, Card, Embedding, EverythingMasks, Image
from engine.models.sam import SamModel
from engine.prompts.base import Prompt
from engine.prompts.strategies import PROMPTERS
from engine.replay import Replayer
from engine.study import EverythingParams, ModelChoice

SUMS = ("assd_px", "hausdorff_mm", "hd95_mm", "assd_mm")


class Away(Spy):
    """The toy model, whose masks are tensors."""

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        said = super().decode(embedding, prompts)
        return replace(said, masks=torch.from_numpy(said.masks))

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        found = super().everything(embedding, params)
        return replace(found, packed=torch.from_numpy(found.packed))


class Home:
    """A model whose masks stay on its device, with them copied to the host."""

    def __init__(self, model: SamModel) -> None:
        self.model = model

    @property
    def card(self) -> Card:
        return self.model.card

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        return self.model.embed(images)

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        said = self.model.decode(embedding, prompts)
        assert isinstance(said.masks, torch.Tensor)
        return replace(said, masks=on_host(said.masks))

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        found = self.model.everything(embedding, params)
        assert isinstance(found.packed, torch.Tensor)
        return replace(found, packed=on_host(found.packed))


def assert_same(found: Any, expected: Any, name: str = "") -> None:
    """Rows, to the bit but for the last digits of sums of roots and of distances in mm."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value, key)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, name)
    elif name in SUMS and expected is not None:
        assert found == pytest.approx(expected, rel=1e-12, abs=0), name
    else:
        assert found == expected, name


def assert_same_cells(found: dict[str, CellRows], expected: dict[str, CellRows]) -> None:
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert (found[name].done, found[name].failed) == (rows.done, rows.failed)
        assert_same(dict(found[name].tables), dict(rows.tables))


MADE = {
    "jitter": {"levels": [[0, 0], [5, 10]], "trials": 2},
    "strategies": ["everything", "point_1", "point_5_neg_5", "box"],
}


@pytest.mark.parametrize("candidates", [(0, 1, 2, 3), (0, 1, 2), (3,)], ids=str)
@pytest.mark.parametrize("spacing", [(0.8, 0.7), (0.5, 0.5), (None, 0.7)], ids=str)
def test_rows_are_those_of_masks_on_the_host(candidates: tuple[int, ...], spacing: Any) -> None:
    card = replace(CARD, candidates=candidates)
    made = study(**MADE)
    found, expected = (
        evaluate(made, unit(spacing=spacing), kind(card, radii=(8, 0, 16, 12)))
        for kind in (Away, Spy)
    )
    assert len(expected["box"].tables["trials"]) == 12
    assert_same_cells(found, expected)


def test_failures_are_those_of_masks_on_the_host() -> None:
    """A trial that cannot be scored, and one that cannot be decoded, in batches of others."""
    made = study(**MADE | {"strategies": ["box"]})
    both = []
    for kind in (Away, Spy):
        model = kind(fail_on_x=0)  # every strip
        model.unrated = 6  # the block at rest
        both.append(evaluate(made, model=model))
    assert accounted(both[1]["box"]) == (4, 8)
    assert {f["stage"] for f in both[1]["box"].tables["failures"]} == {"decode", "score"}
    assert_same_cells(*both)


def test_the_next_click_sees_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROMPTERS._entries, "points", "toys:two_clicks")
    made = study(strategies=[{"name": "clicks", "kind": "points", "params": {}}])
    found, expected = (evaluate(made, model=kind()) for kind in (Away, Spy))
    assert {row["step"] for row in expected["clicks"].tables["trials"]} == {0, 1}
    assert_same_cells(found, expected)


def test_a_replay_shows_the_mask_on_the_host() -> None:
    made = study(strategies=["box", "everything"])
    refs, pixels = unit()
    replayer = Replayer(made, Away(), NUMERICS, refs.slices[0], pixels[0])
    for name in ("box", "everything"):
        row = trial(evaluate(made, model=Spy())[name], "0/block")
        chosen = row["selections"][0]
        key = TrialKey(row["object_id"], row["gt_px"], 0, 0, 0, 0)
        again = replayer.replay(
            made.strategy(name),
            key,
            chosen["candidate"],
            tp=chosen["tp"],
            pred_px=chosen["pred_px"],
        )
        assert isinstance(again.mask, np.ndarray)
        assert again.mask.sum() == chosen["pred_px"] > 0


def test_a_sam_whose_masks_stay() -> None:
    """The shipped network: the rows of its masks, made on a device, and of copies of them."""
    everything = {"points_per_side": 4, "pred_iou_thresh": -1, "stability_score_thresh": -1}
    made = study(
        models=[{"name": "tiny", "model": "tiny"}],
        strategies=["box", "point_5", {"name": "all", "kind": "everything", "params": everything}],
    )
    loaded = load_model(ModelChoice(name="tiny", model="tiny"))
    assert isinstance(loaded, SamModel)
    model = SamModel(loaded.card, loaded.network, loaded.numerics, loaded.device, on_device=True)
    refs, pixels = unit()
    task = planned(made, refs, {"tiny": model.card})
    found, expected = (
        Evaluator(made, {"tiny": some}, NUMERICS).evaluate(task, pixels)
        for some in (model, Home(model))
    )
    assert sum(len(rows.tables.get("overlaps", ())) for rows in expected) > 20
    assert not any(rows.failed for rows in expected)
    assert_same_cells(
        {rows.planned.cell.strategy: rows for rows in found},
        {rows.planned.cell.strategy: rows for rows in expected},
    )
