"""Which change of a study, a model or the data makes which cells run again, and which do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import plan as oracle
from toys import CARD, NUMERICS, sampled, study, unit
from worlds import toy_collection

from engine.collection.catalog import Catalog
from engine.collection.contract import ObjectRef, SliceRef
from engine.collection.sample import sample_units
from engine.collection.sampled import SampledUnit
from engine.configuration import validate
from engine.errors import UserError
from engine.models.base import Capabilities, Card
from engine.models.numerics import Numerics
from engine.planning.plan import Plan, factors_column, make_plan, scored_column
from engine.planning.tasks import Flags, UnitTask
from engine.planning.unit_data import data_fingerprints
from engine.results.manifest import Cell
from engine.study import Study

Cells = set[tuple[str, str]]

FACTORS = {("-", "factors")}
EVERYTHING = {("one", "everything"), ("two", "everything")}
POINT = {("one", "point_1"), ("two", "point_1")}
BOX = {("one", "box"), ("two", "box")}
PROMPTED = POINT | BOX
SCORED = EVERYTHING | PROMPTED
ALL = FACTORS | SCORED
ONE = {cell for cell in SCORED if cell[0] == "one"}
NONE: Cells = set()

BASE: dict[str, Any] = {
    "name": "toy",
    "models": ["one", "two"],
    "strategies": ["everything", "point_1", "box"],
    "jitter": {"levels": [[0, 0], [0, 10]], "trials": 2},
}
CARDS = {name: replace(CARD, name=name) for name in ("one", "two")}
BOX_ONLY = Capabilities(points=False, multimask=False, everything=False)
MEDSAM = replace(CARD, name="fake", candidates=(3,), capabilities=BOX_ONLY)


def _everything(**params: Any) -> list[Any]:
    return [{"name": "everything", "kind": "everything", "params": params}, "point_1", "box"]


def _points(**params: Any) -> list[Any]:
    return ["everything", {"name": "point_1", "kind": "points", "params": params}, "box"]


def _jitter(**settings: Any) -> dict[str, Any]:
    return {**BASE["jitter"], **settings}


STUDY_CHANGES: list[tuple[str, Any, Cells]] = [
    ("name", "other", NONE),
    ("seed", 1, PROMPTED),
    ("models", [{"name": "one", "model": "elsewhere.yaml"}, "two"], NONE),  # its card tells
    ("models", [{"name": "one", "strategies": ["box"]}, "two"], NONE),
    ("models", ["two", "one"], NONE),
    ("strategies", ["box", "everything", "point_1"], NONE),
    ("strategies", _everything(points_per_side=31), EVERYTHING),
    ("strategies", _everything(pred_iou_thresh=0.87), EVERYTHING),
    ("strategies", _everything(stability_score_thresh=0.94), EVERYTHING),
    ("strategies", _everything(stability_score_offset=2.0), EVERYTHING),
    ("strategies", _everything(box_nms_thresh=0.6), EVERYTHING),
    ("strategies", _points(positive=2), POINT),
    ("strategies", _points(positive=1, negative=1), POINT),
    ("jitter", _jitter(levels=[[0, 0], [0, 11]]), PROMPTED),
    ("jitter", _jitter(levels=[[0, 0], [0, 10], [10, 20]]), PROMPTED),
    ("jitter", _jitter(trials=3), PROMPTED),
    ("jitter", _jitter(moves="all"), PROMPTED),
    ("jitter", _jitter(box="translate"), PROMPTED),
    ("intensity", {"scope": "volume"}, ALL),
    ("intensity", {"window": [40, 400]}, ALL),
    ("intensity", {"percentiles": [1, 99]}, ALL),
    ("min_object_px", 0, NONE),  # no object is that small
    ("min_object_px", 400, ALL),  # the discs leave
    ("datasets", ["toy"], NONE),
    ("modalities", ["CT"], NONE),
    ("subjects", ["toy/case0"], NONE),  # fewer units, each as before
    ("sample", {"objects_per_slice": 1}, ALL),
    ("sample", {"slices_per_case": 2}, ALL),
    ("sample", {"slices_per_case": 4}, NONE),
    ("sample", {"cases_per_dataset": 1}, NONE),  # fewer units, each as before
    ("nsd_tolerance_px", 3.0, SCORED),
    ("nsd_tolerance_mm", 3.0, SCORED),
    ("precision", "bfloat16", NONE),  # the numerics tell
    ("parity_bound", 0.01, NONE),
    ("mixed_numerics", True, NONE),
]

CARD_CHANGES: list[tuple[str, Any, Cells]] = [
    ("name", "renamed", NONE),
    ("architecture", "other", NONE),  # a name too
    ("input_size", 512, ONE),
    ("preprocessing", "none-2", ONE),
    ("precision", "bfloat16", ONE),
    ("candidates", (0, 1, 2), ONE),
    ("capabilities", Capabilities(mask_input=True), ONE),
    ("weights_sha256", "b" * 64, ONE),
    ("trained_on", ("toy",), NONE),
    ("trained_subjects", ("toy/case0",), NONE),  # marks results, changes none
    ("untrained", not CARD.untrained, NONE),
    ("parameters", 7, NONE),
]

NUMERICS_CHANGES: list[tuple[str, Any]] = [
    ("device", "cuda-NVIDIA-H200"),
    ("dtype", "float16"),
    ("kernels", "torch-2.11"),
    ("threads", 2),
    ("encode_batch", 2),
    ("decode_batch", 17),
    ("everything_batch", 65),
    ("mask_bytes", 1),
]

SLICE_CHANGES: list[tuple[str, Any, Cells]] = [
    ("slice_id", "other", ALL),
    ("index", 5, ALL),
    ("volume_lo", -301.0, ALL),
    ("volume_hi", 301.0, ALL),
    ("spacing_row_mm", 0.81, ALL),
    ("spacing_col_mm", None, ALL),
    ("array_path", "moved/case", NONE),
    ("modality", "MR", NONE),
]

VERSIONS = [
    ("engine.planning.plan.PROTOCOL_VERSION", ALL),
    ("engine.collection.intensity.ALGORITHM_VERSION", ALL),
    ("engine.prompts.ALGORITHM_VERSION", SCORED),
    ("engine.models.ALGORITHM_VERSION", SCORED),
    ("engine.scoring.ALGORITHM_VERSION", SCORED),
    ("engine.scoring.factors.ALGORITHM_VERSION", FACTORS),
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path = toy_collection(tmp_path_factory.mktemp("plan") / "toy.zarr", cases=2)
    return Catalog.open(path)


def planned(catalog: Catalog, **changes: Any) -> Plan:
    made = validate({**BASE, **changes}, Study, "study", where="test")
    return make_plan(made, sample_units(catalog, made).units, CARDS, NUMERICS)


def changed(before: Plan, after: Plan) -> Cells:
    """(model, strategy) of the shared cells with another identity; all units must agree."""
    old = {planned.cell: planned.identity for planned in before.cells()}
    new = {planned.cell: planned.identity for planned in after.cells()}
    shared = old.keys() & new.keys()
    assert shared
    differ = {(c.model, c.strategy) for c in shared if old[c] != new[c]}
    same = {(c.model, c.strategy) for c in shared if old[c] == new[c]}
    assert not differ & same, "a study's field must act alike on all units"
    return differ


def of_unit(unit_: SampledUnit, numerics: Numerics = NUMERICS, card: Card = CARDS["one"]) -> Plan:
    made = validate(BASE, Study, "study", where="test")
    return make_plan(made, sampled(unit_), {**CARDS, "one": card}, numerics)


@pytest.mark.parametrize(("field", "value", "cells"), STUDY_CHANGES)
def test_a_study_field_changes_exactly_these_cells(
    catalog: Catalog, field: str, value: Any, cells: Cells
) -> None:
    assert changed(planned(catalog), planned(catalog, **{field: value})) == cells


@pytest.mark.parametrize(("field", "value", "cells"), CARD_CHANGES)
def test_a_card_field_changes_exactly_these_cells(field: str, value: Any, cells: Cells) -> None:
    unit_, _ = unit()
    other = replace(CARDS["one"], **{field: value})
    assert changed(of_unit(unit_), of_unit(unit_, card=other)) == cells


@pytest.mark.parametrize(("field", "value"), NUMERICS_CHANGES)
def test_numerics_change_every_scored_cell(field: str, value: Any) -> None:
    unit_, _ = unit()
    other = replace(NUMERICS, **{field: value})
    assert changed(of_unit(unit_), of_unit(unit_, other)) == SCORED


@pytest.mark.parametrize(("field", "value", "cells"), SLICE_CHANGES)
def test_a_slice_field_changes_exactly_these_cells(field: str, value: Any, cells: Cells) -> None:
    unit_, _ = unit()
    first, *rest = unit_.slices
    other = replace(unit_, slices=(replace(first, **{field: value}), *rest))
    assert changed(of_unit(unit_), of_unit(other)) == cells


@pytest.mark.parametrize(("field", "value"), [("object_id", "x"), ("layer", 1), ("value", 2)])
def test_an_object_field_changes_every_cell(field: str, value: Any) -> None:
    unit_, _ = unit()
    first, *rest = unit_.slices
    objects = (replace(first.objects[0], **{field: value}), *first.objects[1:])
    other = replace(unit_, slices=(replace(first, objects=objects), *rest))
    assert changed(of_unit(unit_), of_unit(other)) == ALL


def test_other_stored_values_change_every_cell() -> None:
    unit_, _ = unit()
    assert changed(of_unit(unit_), of_unit(replace(unit_, data_sha256="f" * 64))) == ALL


@pytest.mark.parametrize(("version", "cells"), VERSIONS)
def test_an_algorithm_version_changes_exactly_these_cells(
    monkeypatch: pytest.MonkeyPatch, version: str, cells: Cells
) -> None:
    before = of_unit(unit()[0])
    monkeypatch.setattr(version, 999)
    assert changed(before, of_unit(unit()[0])) == cells


def test_the_tables_above_have_every_field() -> None:
    """A new field must be given its place here."""
    assert {change[0] for change in STUDY_CHANGES} == set(Study.model_fields)
    assert {change[0] for change in CARD_CHANGES} == _names(fields(Card))
    assert {change[0] for change in NUMERICS_CHANGES} == _names(fields(Numerics))
    # A slice's size is that of its stored values, its objects have a test of their own.
    known = {change[0] for change in SLICE_CHANGES} | {"height", "width", "objects"}
    assert known == _names(fields(SliceRef))
    assert _names(fields(ObjectRef)) == {"object_id", "layer", "value", "area_px"}


def _names(found: Iterable[Any]) -> set[str]:
    return {field.name for field in found}


GOLDEN_CELL = "637bd8c5eeba378d1b33e5066caef87d03662cdfe891d8da6afdd78628bad62e"
GOLDEN_FACTORS = "cf382f3b01b41a0056c9e95dc9d485e2240c2597faecd17e132d764e586c61ae"


def test_identities_of_a_literal_cell_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored results are found again only as long as these hashes stay; versions are held."""
    for version, _ in VERSIONS:
        monkeypatch.setattr(version, 1)
    block = ObjectRef("d/c/0/block", 0, 1, 480)
    ref = SliceRef("d/c/0", "d/c", 0, 64, 48, -200.0, 300.0, 0.8, None, "CT", (block,))
    (data,) = data_fingerprints(sampled(SampledUnit("d/c/0-1", "c" * 64, True, (ref,))))
    card = Card(
        name="m", architecture="vit_b", input_size=1024, preprocessing="sam-1",
        precision="float32", candidates=(0, 1, 2, 3), capabilities=Capabilities(),
        weights_sha256="d" * 64, trained_on=("sa1b",), parameters=93_735_472,
    )  # fmt: skip
    numerics = Numerics("cpu-avx2", "float32", "torch-2.10", 1, 1, 16, 64, 67_108_864)
    made = study(name="g", models=["m"], strategies=["point_5_neg_5"])
    scored = scored_column(made, "m", made.strategies[0], card, numerics)
    assert scored.identity(data) == GOLDEN_CELL
    assert factors_column(made).identity(data) == GOLDEN_FACTORS


@pytest.mark.parametrize(
    ("strategy", "lacks"),
    [("everything", "everything"), ("point_1", "points"), ("point_5_neg_5", "points"),
     ("box_point_1", "points")],
)  # fmt: skip
def test_a_strategy_the_model_cannot_run_is_refused(strategy: str, lacks: str) -> None:
    made = study(strategies=["box", strategy])
    with pytest.raises(UserError, match=f"strategy '{strategy}': it takes no {lacks}"):
        make_plan(made, sampled(), {"fake": MEDSAM}, NUMERICS)


@pytest.mark.parametrize("strategy", ["box", "box_point_1"])
def test_a_box_is_refused_where_there_are_only_points(strategy: str) -> None:
    card = replace(CARD, capabilities=Capabilities(boxes=False))
    with pytest.raises(UserError, match="it takes no boxes"):
        make_plan(study(strategies=[strategy]), sampled(), {"fake": card}, NUMERICS)


def test_a_model_is_asked_only_for_its_own_strategies() -> None:
    models = [{"name": "fake", "strategies": ["box"]}, "all"]
    made = study(models=models, strategies=["everything", "point_1", "box"])
    plan = make_plan(made, sampled(unit()[0]), {"fake": MEDSAM, "all": CARD}, NUMERICS)
    asked = [(p.cell.model, p.cell.strategy) for p in plan.cells()]
    assert asked == [
        ("-", "factors"), ("fake", "box"), ("all", "everything"), ("all", "point_1"), ("all", "box")
    ]  # fmt: skip


def test_expected_adds_up_over_units() -> None:
    made = validate(BASE, Study, "study", where="test")
    units = [unit(unit_id="a")[0], unit(unit_id="b")[0]]
    plan = make_plan(made, sampled(*units), CARDS, NUMERICS)
    # 2 units x 2 slices x 2 objects; Everything is not jittered, the others have 1 + 2 trials
    per_strategy = {"everything": 8, "point_1": 24, "box": 24}
    assert plan.expected() == {(m, s): n for m in CARDS for s, n in per_strategy.items()}
    assert [p.expected for p in plan.cells() if p.cell.is_factors] == [4, 4]
    empty = make_plan(made, sampled(), CARDS, NUMERICS)
    assert empty.expected() == dict.fromkeys(plan.expected(), 0)


def test_pending_leaves_out_what_is_committed_and_starts_with_the_longest() -> None:
    made = study(strategies=["everything", "box"], jitter=_jitter(trials=4))
    long, medium, short, finished = (
        SampledUnit(name, "e" * 64, True, unit(unit_id=name)[0].slices * slices)
        for name, slices in (("long", 3), ("medium", 2), ("short", 1), ("finished", 4))
    )
    units = sampled(medium, finished, short, long)
    plan = make_plan(made, units, {"fake": CARD}, NUMERICS)
    committed = {p.cell for p in plan.cells() if p.cell.unit_id == "finished"}
    committed |= {p.cell for p in plan.cells() if p.cell.strategy == "everything"}
    rest = plan.pending(flags(plan, committed))
    assert [task.unit_id for task in rest] == ["long", "medium", "short"]
    assert {planned.cell.strategy for task in rest for planned in task.cells} == {"factors", "box"}
    assert [len(task) for task in rest] == [6, 4, 2], "slices stay whole"
    # With its box cell done too, the longest unit has the fewest trials left.
    committed |= {p.cell for p in plan.cells() if p.cell.unit_id == "long" and p.cell.model != "-"}
    rest = plan.pending(flags(plan, committed))
    assert [task.unit_id for task in rest] == ["medium", "short", "long"]
    assert list(plan.pending(~plan.none_done())) == []


def flags(plan: Plan, committed: Iterable[Cell]) -> Flags:
    """bool[unit, column] of these cells."""
    done = plan.none_done()
    for cell in committed:
        place = plan.place(cell)
        assert place is not None
        done[place] = True
    return done


IDS = st.text(st.characters(codec="utf-8"), max_size=6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0])
INTEGERS = st.integers(-(2**31), 2**31 - 1)
OBJECT_REFS = st.builds(ObjectRef, IDS, INTEGERS, INTEGERS, st.integers(51, 999))
SLICE_REFS = st.builds(
    SliceRef, IDS, IDS, INTEGERS, st.integers(1, 999), st.integers(1, 999), NUMBERS, NUMBERS,
    NUMBERS | st.none(), NUMBERS | st.none(), IDS, st.lists(OBJECT_REFS, max_size=3).map(tuple),
)  # fmt: skip
UNIT_LISTS = st.lists(
    st.builds(
        SampledUnit,
        IDS,
        IDS,
        st.booleans(),
        st.lists(SLICE_REFS, min_size=1, max_size=3).map(tuple),
    ),
    max_size=5,
    unique_by=lambda unit_: unit_.unit_id,
)


@given(UNIT_LISTS, st.data(), st.integers(1, 3))
def test_plan_equals_the_eager_oracle(
    units: list[SampledUnit], data: st.DataObject, block: int
) -> None:
    made = validate(BASE, Study, "study", where="test")
    with mock.patch("engine.planning.unit_data._BLOCK_UNITS", block):
        plan = make_plan(made, sampled(*units), CARDS, NUMERICS)
    expected = oracle.plan(made, units, CARDS, NUMERICS)
    assert list(plan.units) == expected
    assert plan.units[1:] == expected[1:]
    assert list(plan.cells()) == [cell for task in expected for cell in task.cells]
    committed = {c.cell: data.draw(st.booleans()) for task in expected for c in task.cells}
    rest = plan.pending(flags(plan, (cell for cell, done in committed.items() if done)))
    wanted = oracle.pending(expected, lambda planned: committed[planned.cell])
    assert list(rest) == wanted
    assert [UnitTask.unpack(task.pack()) for task in rest] == wanted
    assert list(rest.cells()) == [cell for task in wanted for cell in task.cells]
    assert rest.n_slices == sum(len(task) for task in wanted)
    assert rest.n_objects == sum(len(ref.objects) for task in wanted for ref in task.slices)
    assert rest.pixels() == [sum(r.height * r.width for r in task.slices) for task in wanted]
    scored = [c.expected for task in wanted for c in task.cells if not c.cell.is_factors]
    assert rest.n_trials == sum(scored)
    assert rest.table().to_pylist() == [
        {**asdict(c.cell), "identity": c.identity, "expected": c.expected} for c in rest.cells()
    ]
    for planned in plan.cells():
        place = plan.place(planned.cell)
        assert place is not None
        assert plan.identity(place) == planned.identity
    assert plan.place(Cell("no such unit", "one", "box")) is None
    assert all(plan.place(Cell(unit_.unit_id, "one", "no")) is None for unit_ in units)


def test_a_slice_is_found_among_all() -> None:
    units = sampled(unit(unit_id="a")[0], unit(unit_id="b")[0])
    ref = units[1].slices[1]
    assert units.find({ref.slice_id, "nowhere"}) == {ref.slice_id: ref}
