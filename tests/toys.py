"""Studies, units and models made in memory, for tests of what happens between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.collection.catalog_schema import CASES, OBJECTS, SLICES, UNITS
from engine.collection.checksum import data_sha256
from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.collection.population import OBJECT_COLUMNS
from engine.collection.sampled import REF_COLUMNS, SampledUnit, SampledUnits
from engine.configuration import validate
from engine.evaluate import Evaluator
from engine.evaluation.rows import CellRows, Row
from engine.models.base import Candidates, Capabilities, Card, Embedding, EverythingMasks, Image
from engine.models.fake import FakeConfig, FakeModel
from engine.models.numerics import Numerics
from engine.planning.plan import UnitTask, make_plan
from engine.prompts.base import Point, Prompt, Situation
from engine.results.account import account
from engine.results.check import check_table
from engine.results.rows import part_tables
from engine.study import EverythingParams, Jitter, Strategy, Study

SIZE = 64
AREA = {"block": 20 * 24, "strip": 4 * SIZE}
"""Pixels of each object of `labels`."""
NUMERICS = Numerics("cpu-avx2", "float32", "torch-2.10", 1, 1, 16, 64)
CARD = Card("fake", "fake", 256, "none-1", "none", (0, 1, 2, 3), Capabilities(), "a" * 64)
UNJITTERED: dict[str, Any] = {"levels": [[0, 0]]}


def study(**fields: Any) -> Study:
    """A study of one model called `fake`; `fields` replace or add to the defaults."""
    raw = {"name": "toy", "models": ["fake"], "strategies": ["box"], "jitter": UNJITTERED, **fields}
    return validate(raw, Study, "study", where="test")


def labels() -> NDArray[np.uint8]:
    """uint8[2, y, x]: value 1 of layer 0 is a block (rows 8..27, columns 6..29), value 3 of
    layer 1 a strip over the whole width (rows 20..23)."""
    made = np.zeros((2, SIZE, SIZE), np.uint8)
    made[0, 8:28, 6:30] = 1
    made[1, 20:24, :] = 3
    return made


def image(seed: int = 0) -> NDArray[np.int16]:
    """int16[y, x] whose pixel (0, 0) has the slice's lowest value, which is rendered as 0."""
    made = np.random.default_rng(seed).integers(-200, 200, (SIZE, SIZE)).astype(np.int16)
    made[0, 0] = -201
    return made


def unit(
    pixels: Sequence[SlicePixels] | None = None,
    spacing: tuple[float | None, float | None] = (0.8, 0.7),
    unit_id: str = "toy/case/0",
) -> tuple[SampledUnit, list[SlicePixels]]:
    """A unit of slices with a block and a strip each, as the collection would hand it over."""
    stored = list(pixels or [SlicePixels(image(seed), labels()) for seed in range(2)])
    refs = tuple(_slice_ref(unit_id, i, shown, spacing) for i, shown in enumerate(stored))
    return SampledUnit(unit_id, data_sha256(stored), True, refs), stored


def _slice_ref(
    unit_id: str, index: int, shown: SlicePixels, spacing: tuple[float | None, float | None]
) -> SliceRef:
    slice_id = f"{unit_id}/{index}"
    objects = tuple(
        ObjectRef(f"{slice_id}/{name}", layer, value, int((shown.labels[layer] == value).sum()))
        for name, layer, value in (("block", 0, 1), ("strip", 1, 3))
    )
    height, width = shown.image.shape[:2]
    return SliceRef(
        slice_id, "toy/case", index, height, width, -300.0, 300.0, *spacing, "CT", objects
    )


class Spy(FakeModel):
    """The fake model under a card of choice; notes the images and prompts it was given.

    Attributes:
        asked: slices of each call of `embed`.
        unrated: a prompt whose box begins in this column gets NaN as predicted IoU.
        broken_everything: `everything` raises.
    """

    def __init__(self, card: Card = CARD, **config: Any) -> None:
        super().__init__(card, FakeConfig(kind="fake", **config), NUMERICS)
        self.images: list[Image] = []
        self.asked: list[int] = []
        self.batches: list[list[Prompt]] = []
        self.unrated: int | None = None
        self.broken_everything = False

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        self.images += images
        self.asked.append(len(images))
        return super().embed(images)

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        self.batches.append(list(prompts))
        answers = super().decode(embedding, prompts)
        places = list(self.card.candidates)
        iou = answers.predicted_iou[:, places].copy()
        for rated, prompt in zip(iou, prompts, strict=True):
            if prompt.box is not None and prompt.box.x0 == self.unrated:
                rated[-1] = np.nan
        return Candidates(answers.masks[:, places], iou)

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        if self.broken_everything:
            raise RuntimeError("asked to fail on everything")
        return super().everything(embedding, params)


def planned(study: Study, unit: SampledUnit, cards: Mapping[str, Card] | None = None) -> UnitTask:
    """The task of a unit; every model has `CARD` unless `cards` says otherwise."""
    cards = cards or {choice.name: replace(CARD, name=choice.name) for choice in study.models}
    return make_plan(study, sampled(unit), cards, NUMERICS).units[0]


def sampled(*units: SampledUnit) -> SampledUnits:
    """These units, in this order, as the collection would hand them over."""
    refs = [ref for unit in units for ref in unit.slices]
    objects = [wanted for ref in refs for wanted in ref.objects]
    return SampledUnits(
        _rows(UNITS, ("unit_id", "data_sha256"), units).append_column(
            "complete", pa.array([unit.complete for unit in units], pa.bool_())
        ),
        _rows(pa.unify_schemas([SLICES, CASES]), REF_COLUMNS, refs),
        _rows(OBJECTS, OBJECT_COLUMNS, objects),
        np.cumsum([0, *(len(unit.slices) for unit in units)]),
        np.cumsum([0, *(len(ref.objects) for ref in refs)]),
    )


def _rows(schema: pa.Schema, names: Sequence[str], of: Sequence[object]) -> pa.Table:
    columns = [pa.array([getattr(one, n) for one in of], schema.field(n).type) for n in names]
    return pa.table(columns, names=list(names))


def evaluate(
    study: Study,
    made: tuple[SampledUnit, list[SlicePixels]] | None = None,
    model: Spy | None = None,
    numerics: Numerics = NUMERICS,
) -> dict[str, CellRows]:
    """Rows of every cell of a unit, by strategy (`factors` for the factors cell)."""
    unit_, pixels = made or unit()
    model = model or Spy()
    task = planned(study, unit_, {"fake": model.card})
    cells = Evaluator(study, {"fake": model}, numerics).evaluate(task, pixels)
    return {rows.planned.cell.strategy: rows for rows in cells}


def trial(rows: CellRows, object_id: str, step: int = 0) -> Row:
    """The only row of an object's step whose id ends in `object_id`."""
    (found,) = [
        row
        for row in rows.tables["trials"]
        if row["object_id"].endswith(object_id) and row["step"] == step
    ]
    return found


def selections(row: Row) -> dict[str, Row]:
    """Selections of a trial by name."""
    return {selection["selection"]: selection for selection in row["selections"]}


@dataclass(frozen=True)
class TwoClicks:
    """First the object's centre, then the leftmost pixel of the mask that came back."""

    steps: int = field(default=2)

    def __call__(self, situation: Situation) -> Prompt:
        y, x = np.nonzero(situation.previous[-1] if situation.step else situation.truth)
        if situation.step:
            first = int(np.argmin(x))
            return Prompt((Point(int(x[first]), int(y[first]), True),))
        return Prompt((Point(int(x.mean()), int(y.mean()), True),))


def two_clicks(strategy: Strategy, jitter: Jitter) -> TwoClicks:
    """A kind of strategy with two steps, as a registry of prompters takes it."""
    return TwoClicks()


def accounted(rows: CellRows) -> tuple[int, int]:
    """(done, failed) as the ledger counts the rows, which must fit the schemas and the plan."""
    tables = part_tables(rows.tables)
    for name, table in tables.items():
        check_table(name, table, rows.planned.cell)
    counted = account(
        rows.planned.cell, tables,
        expected=rows.planned.expected, done=rows.done, failed=rows.failed,
    )  # fmt: skip
    assert sum(counted) == rows.planned.expected
    return counted


def assert_failed(row: dict[str, Any], names: Sequence[str]) -> None:
    """A failed trial keeps its object's size and nothing a model could have said."""
    assert row["status"] == "failed"
    assert row["gt_px"] == AREA[row["object_id"].rsplit("/", 1)[1]]
    assert (row["candidates"], row["n_candidates"]) == ([], 0)
    assert [s["selection"] for s in row["selections"]] == list(names)
    for selection in row["selections"]:
        empty = {"selection", "status"}
        assert selection["status"] == "failed"
        assert all(value is None for key, value in selection.items() if key not in empty)


def stages(rows: CellRows) -> set[str]:
    return {failure["stage"] for failure in rows.tables["failures"]}
