"""What a study costs: real trials timed, counted rightly, and carried to a plan."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from worlds import toy_collection

from engine.bench.amounts import Amounts
from engine.bench.beside import beside, beside_rows
from engine.bench.costs import Cost, Costs, _cost, duration, measure
from engine.bench.machine import Machine
from engine.bench.ways import Clock, plain_scores
from engine.bench.work import works
from engine.cli import run
from engine.errors import UserError
from engine.evaluate import Evaluator
from engine.models import load_model
from engine.models.numerics import numerics_of
from engine.models.sam import SamModel
from engine.planning.ground import plan_study, read_study
from engine.planning.plan import Plan

STUDY = """\
name: toy
models: [tiny, {name: fake, strategies: [box]}]
strategies:
  - name: everything
    kind: everything
    params: {points_per_side: 4, pred_iou_thresh: -10, stability_score_thresh: 0}
  - point_1
  - box
jitter: {levels: [[0, 0], [0, 10]], trials: 2}
"""
MACHINE = Machine.here(numerics_of("cpu"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Plan]:
    folder = tmp_path_factory.mktemp("bench")
    study = folder / "study.yaml"
    study.write_text(STUDY)
    collection = toy_collection(folder / "c.zarr", cases=2, slices=2)
    return study, collection, plan_study(read_study(study), collection, numerics_of("cpu")).plan


def test_works_are_the_study_s_own_slices(world: tuple[Path, Path, Plan]) -> None:
    _, collection, plan = world
    some = list(works(plan, str(collection), 3, 1))
    assert len({work.ref.slice_id for work in some}) == 3
    assert all(len(work.ref.objects) == 1 for work in some)
    assert {len(work.task.cells) for work in some} == {5}  # factors, 3 of tiny, 1 of fake
    assert [len(prompts) for prompts in some[0].prompts] == [3, 3]
    (alone,) = works(plan, str(collection), 1, 2, "fake")
    assert [planned.cell.strategy for planned in alone.task.cells] == ["box"]
    assert [len(prompts) for prompts in alone.prompts] == [6]
    assert len(list(works(plan, str(collection), 99, 9))) == 4


def test_every_stage_is_measured_and_counted_by_its_own_unit(
    world: tuple[Path, Path, Plan],
) -> None:
    _, collection, plan = world
    models = {choice.name: load_model(choice) for choice in plan.study.models}
    evaluator = Evaluator(plan.study, models, numerics_of("cpu"))
    some = list(works(plan, str(collection), 2, 2))
    costs = measure(plan.study, evaluator, str(collection), some, 1, MACHINE)
    per = {(cost.model, cost.strategy, cost.stage): cost.per for cost in costs.costs}
    assert per["-", "-", "read"] == per["-", "-", "rest"] == per["tiny", "-", "embed"] == "slice"
    assert per["-", "-", "factors"] == "object"
    assert per["tiny", "everything", "decode"] == "slice"
    assert per["tiny", "everything", "score"] == per["tiny", "box", "decode"] == "trial"
    assert per["fake", "box", "score"] == "trial"
    assert all(cost.seconds >= 0 for cost in costs.costs)
    assert sum(cost.seconds > 0 for cost in costs.costs) >= len(costs.costs) - 1
    assert 1 < costs.bytes_per_trial < 10_000
    # What was measured, projected to itself, is the time that was measured.
    trials = {("tiny", "everything"): 4, ("tiny", "point_1"): 12, ("tiny", "box"): 12,
              ("fake", "box"): 12}  # fmt: skip
    spent = sum(
        cost.seconds * {"slice": 2, "object": 4, "trial": trials.get(cost_key(cost), 0)}[cost.per]
        for cost in costs.costs
    )
    slices = {(cost.model, cost.strategy): 2 for cost in costs.costs}
    assert costs.seconds(Amounts(slices, 4, trials)) == pytest.approx(spent)


def cost_key(cost: Cost) -> tuple[str, str]:
    return cost.model, cost.strategy


@pytest.mark.parametrize(
    ("key", "per", "seconds"),
    [
        (("-", "-", "read"), "slice", 1.5),
        (("-", "-", "factors"), "object", 0.5),
        (("tiny", "box", "decode"), "trial", 0.25),
        (("tiny", "everything", "decode"), "slice", 1.5),
        (("tiny", "everything", "score"), "trial", 1.0),
    ],
)
def test_a_cost_is_the_median_round_by_what_it_is_counted_by(
    world: tuple[Path, Path, Plan], key: tuple[str, str, str], per: str, seconds: float
) -> None:
    study = world[2].study
    counts = {("-", "factors"): 6, ("tiny", "box"): 12, ("tiny", "everything"): 3}
    made = _cost(study, key, [2.0, 3.0, 70.0], 2, counts)
    assert made == Cost(*key, per, seconds)  # type: ignore[arg-type]


def costs_by_hand() -> Costs:
    made = (
        Cost("-", "-", "read", "slice", 0.5),
        Cost("-", "-", "factors", "object", 0.25),
        Cost("tiny", "-", "embed", "slice", 2.0),
        Cost("tiny", "box", "decode", "trial", 0.125),
        Cost("tiny", "everything", "decode", "slice", 8.0),
    )
    return Costs("toy", MACHINE, 3, 5, 20.0, made)


def test_projection_by_hand(tmp_path: Path) -> None:
    costs = costs_by_hand()
    trials = {("tiny", "box"): 80, ("tiny", "everything"): 8}
    slices = {("-", "-"): 10, ("tiny", "-"): 10, ("tiny", "everything"): 10}
    assert costs.seconds(Amounts(slices, 8, trials)) == 5 + 2 + 20 + 10 + 80
    # Where nothing of a model or a strategy is to do, a slice costs nothing by it.
    assert costs.seconds(Amounts({("-", "-"): 10}, 8, {})) == 5 + 2
    boxes = Amounts({("-", "-"): 10, ("tiny", "-"): 7}, 0, {("tiny", "box"): 80})
    assert costs.seconds(boxes) == 5 + 14 + 10
    with pytest.raises(UserError, match="no such model and strategy"):
        costs.seconds(Amounts({}, 1, {("tiny", "point_1"): 1}))
    costs.save(tmp_path / "costs.json")
    assert Costs.load(tmp_path / "costs.json") == costs
    assert [duration(s) for s in (3, 90, 7200)] == ["3.0 seconds", "1.5 minutes", "2.0 hours"]


def test_amounts_are_of_what_is_to_do(world: tuple[Path, Path, Plan]) -> None:
    _, _, plan = world
    units, n = plan.units, plan.units.n_slices
    assert n == len(units) * 2 == 4
    whole = Amounts.of(units)
    assert whole.objects == units.n_objects
    assert whole.trials == plan.expected()
    assert set(whole.slices.values()) == {n}
    done = plan.none_done()
    columns = [(column.model, column.strategy) for column in units.columns]
    done[:, 0] = True  # the factors
    done[:, columns.index(("fake", "box"))] = True
    done[0, columns.index(("tiny", "everything"))] = True
    done[1, columns.index(("tiny", "point_1"))] = True
    done[1, columns.index(("tiny", "box"))] = True
    left = Amounts.of(plan.pending(done))
    assert left.objects == 0
    assert left.slices == {
        ("-", "-"): 4, ("tiny", "-"): 4, ("tiny", "everything"): 2, ("tiny", "point_1"): 2,
        ("tiny", "box"): 2,
    }  # fmt: skip
    done[1] = True
    assert Amounts.of(plan.pending(done)).slices["-", "-"] == 2


def written(**changes: object) -> str:
    """A calibration with some of its first cost's fields changed."""
    raw = asdict(costs_by_hand())
    raw["costs"][0].update(changes)
    return json.dumps(raw)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"costs": [{}]}', '{"costs": 3}', "\x00",
        written(per="mile"), written(seconds=-1), written(seconds=float("nan")),
        written(seconds=float("inf")), written(seconds="soon"), written(model=None),
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "costs.json").write_text(text)
    with pytest.raises(UserError, match="no calibration"):
        Costs.load(tmp_path / "costs.json")
    with pytest.raises(UserError, match="no calibration"):
        Costs.load(tmp_path / "absent.json")


def test_ways_take_turns_and_do_the_same_work(world: tuple[Path, Path, Plan]) -> None:
    _, collection, plan = world
    model = load_model(plan.study.model("tiny"))
    assert isinstance(model, SamModel)
    evaluator = Evaluator(plan.study, {"tiny": model}, numerics_of("cpu"))
    some = list(works(plan, str(collection), 2, 1, "tiny"))
    clocks = beside(evaluator, model, ["plain", "floor"], some, 2)
    assert {name: len(of) for name, of in clocks.items()} == dict.fromkeys(
        ("samscope", "plain", "floor"), 2
    )
    rows = {row["stage"]: row for row in beside_rows(clocks, 12)}
    assert set(rows) == {"embed", "decode", "score", "all"}
    assert all(rows["all"][name] > 0 for name in clocks)
    assert rows["score"]["floor ratio"] is None
    assert rows["decode"]["plain ratio"] > 0


def test_ratios_are_medians_over_repeats() -> None:
    fast = [Clock({"all": seconds}) for seconds in (1.0, 2.0, 4.0)]
    slow = [Clock({"all": seconds}) for seconds in (10.0, 8.0, 12.0)]
    row = beside_rows({"samscope": fast, "plain": slow}, 2)[-1]
    assert row == {"stage": "all", "samscope": 1000.0, "plain": 5000.0, "plain ratio": 4.0}


def test_plain_scores_by_hand() -> None:
    """A square two columns to the right of the truth; an empty mask has no distances."""
    truth = np.zeros((12, 12), bool)
    truth[4:8, 2:6] = True
    masks = np.stack([np.roll(truth, 2, axis=1), np.zeros_like(truth), truth])
    iou = np.array([0.9, 0.1, 0.2], np.float32)
    assert plain_scores(masks, iou, truth) == [
        (0.5, 2.0, 2.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
    ]
    assert plain_scores(masks, np.array([0, 1, 0], np.float32), truth) == [(1.0, 0, 0, 0)]


def test_the_machine_is_described_without_names() -> None:
    text = str(replace(MACHINE, commit="abc", load=1.0))
    assert MACHINE.device in text
    assert "commit abc" in text
    assert "load 1.0" in text
    assert "commit" not in str(replace(MACHINE, commit=None))


def test_the_command_and_the_plan_that_uses_it(
    world: tuple[Path, Path, Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, collection, _ = world
    asked = [str(study), "-c", str(collection)]
    out = tmp_path / "costs.json"
    few = ["--slices", "2", "--objects", "1", "--repeats", "1"]
    assert run(["bench", *asked, *few, "--plain", "--floor", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4 slices, 8 objects, 80 trials" in said
    assert "plain ratio" in said
    assert "fake: no SAM" in said
    assert json.loads(out.read_text())["study"] == "toy"
    prices = ["--costs", str(out), "--evaluators", "8", "--price", "3600"]
    assert run(["plan", *asked, *prices]) == 0
    said = capsys.readouterr().out
    assert "with 2 evaluators" in said  # there are two units
    (cost,) = re.findall(r"cost: ([\d.,]+) at 3600", said)
    (spent,) = re.findall(r"([\d.]+) seconds of one evaluator", said)
    assert float(cost) == pytest.approx(float(spent), abs=0.06)
    assert run(["plan", *asked, "--costs", str(study)]) == 2
