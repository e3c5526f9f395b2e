"""Whole prompts: equal to the oracle, pinned by literal values, pure, and open to more steps."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import prompts as oracle
from oracles.masks import masks, objects

from engine.errors import SamscopeError, UserError
from engine.identity import trial_seed
from engine.prompts import (
    PROMPTERS,
    Mask,
    ObjectGeometry,
    Point,
    Prompt,
    Prompter,
    Situation,
    next_step,
    prompter,
    situations_of,
)
from engine.study import PAPER_STRATEGIES, BoxParams, Jitter, PointsParams, Strategy

PROMPTED = [name for name in PAPER_STRATEGIES if name != "everything"]
RECIPE = {
    "point_1": (1, 0, False),
    "point_5": (5, 0, False),
    "point_5_neg_5": (5, 5, False),
    "box": (0, 0, True),
    "box_point_1": (1, 0, True),
}
OPTIONS = [("first", "edges"), ("first", "translate"), ("all", "edges"), ("all", "translate")]

Plain = tuple[list[tuple[int, int, bool]], list[int] | None, set[str]]


def plain(prompt: Prompt) -> Plain:
    box = prompt.box
    return (
        [(p.x, p.y, p.positive) for p in prompt.points],
        None if box is None else [box.x0, box.y0, box.x1, box.y1],
        set(prompt.notes),
    )


def expected(situation: Situation, recipe: tuple[int, int, bool], moves: str, rule: str) -> Plain:
    lo, hi = situation.jitter_lo, situation.jitter_hi
    seed = oracle.seed(
        situation.study_seed, situation.object_id, situation.strategy, lo, hi, situation.trial
    )
    positive, negative, with_box = recipe
    return oracle.prompt(
        situation.truth.tolist(),
        positive=positive,
        negative=negative,
        with_box=with_box,
        seed=seed,
        lo=lo,
        hi=hi,
        moves=moves,
        box_rule=rule,
    )


def paper(name: str) -> Strategy:
    return Strategy.model_validate(name)


@given(objects(), st.integers(-3, 10**6), st.text(max_size=8), st.sampled_from(OPTIONS), st.data())
@settings(max_examples=60)
def test_every_trial_equals_the_oracle(
    mask: Mask, seed: int, text: str, options: tuple[str, str], data: st.DataObject
) -> None:
    moves, rule = options
    jitter = Jitter.model_validate({"moves": moves, "box": rule})
    name = data.draw(st.sampled_from(PROMPTED))
    ask = prompter(paper(name), jitter)
    geometry = ObjectGeometry.from_mask(mask)
    trials = list(situations_of(geometry, f"d/{text}/00001/s/0", paper(name), jitter, seed))
    assert len(trials) == 10
    for situation in trials:
        assert plain(ask(situation)) == expected(situation, RECIPE[name], moves, rule)


@given(objects(), st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_other_numbers_of_points(mask: Mask, positive: int, negative: int, with_box: bool) -> None:
    kind = "box_points" if with_box else "points"
    strategy = Strategy.model_validate(
        {"name": "mine", "kind": kind, "params": {"positive": positive, "negative": negative}}
    )
    situation = Situation(truth=mask, object_id="d/c/00001/s/0", strategy="mine", jitter_hi=10)
    recipe = (positive, negative, with_box)
    found = plain(prompter(strategy, Jitter())(situation))
    assert found == expected(situation, recipe, "first", "edges")


@given(objects(), st.sampled_from(PROMPTED))
def test_prompts_at_rest_lie_where_they_should(mask: Mask, name: str) -> None:
    prompt = prompter(paper(name), Jitter())(Situation(mask, "d/c/00001/s/0", name))
    positive, negative, with_box = RECIPE[name]
    assert sum(p.positive for p in prompt.points) == positive
    assert sum(not p.positive for p in prompt.points) <= negative
    assert [p.positive for p in prompt.points] == sorted(p.positive for p in prompt.points)[::-1]
    assert all(bool(mask[p.y, p.x]) == p.positive for p in prompt.points)
    if with_box:
        assert prompt.box is not None
        box = prompt.box
        assert mask[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1].sum() == mask.sum()


@given(objects(), st.sampled_from(PROMPTED), st.sampled_from(OPTIONS))
@settings(max_examples=40)
def test_displaced_prompts_stay_in_the_image(
    mask: Mask, name: str, options: tuple[str, str]
) -> None:
    height, width = mask.shape
    jitter = Jitter.model_validate({"moves": options[0], "box": options[1]})
    ask = prompter(paper(name), jitter)
    for situation in situations_of(ObjectGeometry.from_mask(mask), "d/c/1", paper(name), jitter):
        prompt = ask(situation)
        assert all(0 <= p.x < width and 0 <= p.y < height for p in prompt.points)
        if prompt.box is not None:
            assert 0 <= prompt.box.x0 <= prompt.box.x1 < width
            assert 0 <= prompt.box.y0 <= prompt.box.y1 < height


@given(objects(), st.sampled_from(PROMPTED))
def test_a_bare_situation_is_answered_alike(mask: Mask, name: str) -> None:
    """What is cached per object changes nothing: neither order nor company of trials matters."""
    jitter = Jitter()
    ask = prompter(paper(name), jitter)
    prepared = list(situations_of(ObjectGeometry.from_mask(mask), "d/c/1", paper(name), jitter, 7))
    backwards = [ask(situation) for situation in reversed(prepared)][::-1]
    for situation, before in zip(prepared, backwards, strict=True):
        bare = Situation(
            truth=np.asfortranarray(mask),
            object_id=situation.object_id,
            strategy=situation.strategy,
            study_seed=situation.study_seed,
            jitter_lo=situation.jitter_lo,
            jitter_hi=situation.jitter_hi,
            trial=situation.trial,
        )
        assert ask(bare) == before == ask(situation)


def oval() -> Mask:
    rows, columns = np.mgrid[:48, :64]
    return ((columns - 30) / 18) ** 2 + ((rows - 20) / 11) ** 2 <= 1


def horseshoe() -> Mask:
    mask = np.zeros((48, 64), dtype=bool)
    mask[8:39, 10:41] = True
    mask[:33, 16:35] = False
    return mask


GOLDEN: dict[tuple[str, str, int, int, int], Plain] = {
    ("oval", "point_1", 0, 0, 0): ([(30, 20, True)], None, set()),
    ("oval", "point_1", 0, 10, 0): ([(21, 16, True)], None, set()),
    ("oval", "point_1", 10, 20, 1): ([(24, 7, True)], None, set()),
    ("oval", "point_1", 20, 30, 2): ([(19, 0, True)], None, set()),
    ("oval", "point_5", 0, 0, 0): (
        [(30, 20, True), (32, 13, True), (24, 18, True), (36, 22, True), (28, 27, True)],
        None,
        set(),
    ),
    ("oval", "point_5", 20, 30, 2): (
        [(42, 0, True), (32, 13, True), (24, 18, True), (36, 22, True), (28, 27, True)],
        None,
        set(),
    ),
    ("oval", "point_5_neg_5", 0, 0, 0): (
        [
            (30, 20, True),
            (32, 13, True),
            (24, 18, True),
            (36, 22, True),
            (28, 27, True),
            (21, 3, False),
            (0, 10, False),
            (56, 22, False),
            (0, 33, False),
            (42, 39, False),
        ],
        None,
        set(),
    ),
    ("oval", "point_5_neg_5", 0, 10, 0): (
        [
            (26, 23, True),
            (32, 13, True),
            (24, 18, True),
            (36, 22, True),
            (28, 27, True),
            (21, 3, False),
            (0, 10, False),
            (56, 22, False),
            (0, 33, False),
            (42, 39, False),
        ],
        None,
        set(),
    ),
    ("oval", "point_5_neg_5", 10, 20, 1): (
        [
            (37, 31, True),
            (32, 13, True),
            (24, 18, True),
            (36, 22, True),
            (28, 27, True),
            (21, 3, False),
            (0, 10, False),
            (56, 22, False),
            (0, 33, False),
            (42, 39, False),
        ],
        None,
        set(),
    ),
    ("oval", "point_5_neg_5", 20, 30, 2): (
        [
            (54, 8, True),
            (32, 13, True),
            (24, 18, True),
            (36, 22, True),
            (28, 27, True),
            (21, 3, False),
            (0, 10, False),
            (56, 22, False),
            (0, 33, False),
            (42, 39, False),
        ],
        None,
        set(),
    ),
    ("oval", "box", 0, 0, 0): ([], [12, 9, 48, 31], set()),
    ("oval", "box", 0, 10, 0): ([], [5, 6, 41, 26], set()),
    ("oval", "box", 10, 20, 1): ([], [24, 0, 59, 42], set()),
    ("oval", "box", 20, 30, 2): ([], [28, 4, 35, 33], set()),
    ("oval", "box_point_1", 0, 0, 0): ([(30, 20, True)], [12, 9, 48, 31], set()),
    ("oval", "box_point_1", 0, 10, 0): ([(31, 18, True)], [11, 13, 54, 25], set()),
    ("oval", "box_point_1", 10, 20, 1): ([(40, 29, True)], [0, 0, 63, 47], set()),
    ("oval", "box_point_1", 20, 30, 2): ([(18, 0, True)], [0, 34, 63, 47], set()),
    ("horseshoe", "point_1", 0, 0, 0): ([(13, 28, True)], None, set()),
    ("horseshoe", "point_1", 0, 10, 0): ([(20, 28, True)], None, set()),
    ("horseshoe", "point_1", 10, 20, 1): ([(10, 14, True)], None, set()),
    ("horseshoe", "point_1", 20, 30, 2): ([(0, 11, True)], None, set()),
    ("horseshoe", "point_5", 0, 0, 0): (
        [(10, 12, True), (11, 20, True), (13, 28, True), (19, 34, True), (23, 37, True)],
        None,
        set(),
    ),
    ("horseshoe", "point_5", 20, 30, 2): (
        [(0, 29, True), (11, 20, True), (13, 28, True), (19, 34, True), (23, 37, True)],
        None,
        set(),
    ),
    ("horseshoe", "point_5_neg_5", 0, 0, 0): (
        [
            (10, 12, True),
            (11, 20, True),
            (13, 28, True),
            (19, 34, True),
            (23, 37, True),
            (52, 3, False),
            (48, 12, False),
            (49, 22, False),
            (49, 32, False),
            (3, 44, False),
        ],
        None,
        set(),
    ),
    ("horseshoe", "point_5_neg_5", 0, 10, 0): (
        [
            (17, 12, True),
            (11, 20, True),
            (13, 28, True),
            (19, 34, True),
            (23, 37, True),
            (52, 3, False),
            (48, 12, False),
            (49, 22, False),
            (49, 32, False),
            (3, 44, False),
        ],
        None,
        set(),
    ),
    ("horseshoe", "point_5_neg_5", 10, 20, 1): (
        [
            (0, 12, True),
            (11, 20, True),
            (13, 28, True),
            (19, 34, True),
            (23, 37, True),
            (52, 3, False),
            (48, 12, False),
            (49, 22, False),
            (49, 32, False),
            (3, 44, False),
        ],
        None,
        set(),
    ),
    ("horseshoe", "point_5_neg_5", 20, 30, 2): (
        [
            (0, 32, True),
            (11, 20, True),
            (13, 28, True),
            (19, 34, True),
            (23, 37, True),
            (52, 3, False),
            (48, 12, False),
            (49, 22, False),
            (49, 32, False),
            (3, 44, False),
        ],
        None,
        set(),
    ),
    ("horseshoe", "box", 0, 0, 0): ([], [10, 8, 40, 38], set()),
    ("horseshoe", "box", 0, 10, 0): ([], [7, 16, 42, 34], set()),
    ("horseshoe", "box", 10, 20, 1): ([], [22, 0, 23, 25], set()),
    ("horseshoe", "box", 20, 30, 2): ([], [40, 0, 63, 18], set()),
    ("horseshoe", "box_point_1", 0, 0, 0): ([(13, 28, True)], [10, 8, 40, 38], set()),
    ("horseshoe", "box_point_1", 0, 10, 0): ([(18, 28, True)], [19, 15, 43, 47], set()),
    ("horseshoe", "box_point_1", 10, 20, 1): ([(19, 37, True)], [0, 0, 58, 27], set()),
    ("horseshoe", "box_point_1", 20, 30, 2): ([(0, 47, True)], [38, 31, 62, 47], set()),
}


@pytest.mark.parametrize("key", GOLDEN, ids=lambda k: f"{k[0]}-{k[1]}-{k[2]}-{k[3]}-{k[4]}")
def test_golden_prompts(key: tuple[str, str, int, int, int]) -> None:
    """Literal values: they must survive every change of code, library and machine."""
    shape, name, lo, hi, trial = key
    situation = Situation(
        truth={"oval": oval, "horseshoe": horseshoe}[shape](),
        object_id=f"demo/{shape}/00007/liver/0",
        strategy=name,
        jitter_lo=lo,
        jitter_hi=hi,
        trial=trial,
    )
    assert plain(prompter(paper(name), Jitter())(situation)) == GOLDEN[key]
    assert expected(situation, RECIPE[name], "first", "edges") == GOLDEN[key]


def test_golden_seeds() -> None:
    ids = ("demo/case/00007/liver/0", "box", 20, 30, 2)
    assert trial_seed(0, *ids) == 331111834505973676989250763260211414035
    assert oracle.seed(0, *ids) == 331111834505973676989250763260211414035
    rng = np.random.Generator(np.random.PCG64(331111834505973676989250763260211414035))
    assert [rng.random() for _ in range(3)] == [
        0.3203246816905244,
        0.2074249483013102,
        0.663954031036931,
    ]


def test_no_negative_pixels() -> None:
    full = np.ones((5, 6), dtype=bool)
    prompt = prompter(paper("point_5_neg_5"), Jitter())(Situation(full, "d/c/1", "point_5_neg_5"))
    assert prompt.notes == ("no_negative_pixels",)
    assert [p.positive for p in prompt.points] == [True] * 5
    full[0, 0] = False
    prompt = prompter(paper("point_5_neg_5"), Jitter())(Situation(full, "d/c/1", "point_5_neg_5"))
    assert prompt.notes == ()
    assert prompt.points[5:] == (Point(0, 0, False),)


def test_a_box_at_rest_is_not_degenerate_but_a_moved_one_is() -> None:
    """The note is about what moving did; a one-column object's own box is the truth."""
    thin = np.zeros((1, 40), dtype=bool)
    thin[0, 10:20] = True
    ask = prompter(paper("box"), Jitter())
    assert ask(Situation(thin, "d/c/1", "box")).notes == ()
    assert ask(Situation(thin, "d/c/1", "box", jitter_hi=10)).notes == ("degenerate_box",)


@pytest.mark.parametrize(
    "mask", [np.zeros((3, 4), bool), np.ones((3, 4), np.uint8), np.ones(4, bool)]
)
def test_unusable_masks_are_refused_by_name(mask: Mask) -> None:
    with pytest.raises(SamscopeError, match="d/c/00003/liver/0"):
        prompter(paper("point_1"), Jitter())(Situation(mask, "d/c/00003/liver/0", "point_1"))


def test_everything_has_no_prompter_and_no_situations() -> None:
    everything = paper("everything")
    with pytest.raises(UserError, match="takes no prompts"):
        prompter(everything, Jitter())
    assert not list(situations_of(ObjectGeometry.from_mask(oval()), "d/c/1", everything, Jitter()))


def test_unknown_kinds_name_the_nearest() -> None:
    strategy = Strategy.model_construct(name="x", kind="box_point", params=BoxParams())
    with pytest.raises(UserError, match="box_points"):
        prompter(strategy, Jitter())
    wrong = Strategy.model_construct(name="x", kind="points", params=BoxParams())
    with pytest.raises(UserError, match="positive"):
        prompter(wrong, Jitter())


def test_prompters_travel_between_processes() -> None:
    ask = prompter(paper("box_point_1"), Jitter())
    assert pickle.loads(pickle.dumps(ask)) == ask
    (first, *_) = situations_of(ObjectGeometry.from_mask(oval()), "d/c/1", paper("box"), Jitter())
    assert ask(pickle.loads(pickle.dumps(first))) == ask(first)


@dataclass(frozen=True)
class OneCorrection:
    """Test-only: a first click, then a click on the first pixel the answer got wrong."""

    first: Prompter

    @property
    def steps(self) -> int:
        return 2

    def __call__(self, situation: Situation) -> Prompt:
        if situation.step == 0:
            return self.first(situation)
        wrong = np.argwhere(situation.truth != situation.previous[-1])
        before = self.first(situation)
        if not len(wrong):
            return before
        y, x = (int(v) for v in wrong[0])
        return Prompt((*before.points, Point(x, y, bool(situation.truth[y, x]))))


def one_correction(strategy: Strategy, jitter: Jitter) -> Prompter:
    one = Strategy(name=strategy.name, kind="points", params=PointsParams())
    return OneCorrection(prompter(one, jitter))


@given(objects(), st.data())
@settings(max_examples=25)
def test_a_kind_with_two_steps_fits_the_contract(mask: Mask, data: st.DataObject) -> None:
    """Registered like any kind; the loop an evaluator runs is the same for one step and for two."""
    PROMPTERS.register("one_correction", f"{__name__}:one_correction")
    strategy = Strategy.model_construct(name="fix", kind="one_correction", params=BoxParams())
    ask = prompter(strategy, Jitter())
    assert ask.steps == 2
    answer = data.draw(masks(mask.shape))
    for situation in situations_of(ObjectGeometry.from_mask(mask), "d/c/1", strategy, Jitter()):
        prompts = []
        for _ in range(ask.steps):
            prompts.append(ask(situation))
            situation = next_step(situation, answer)
        assert situation.step == 2
        assert len(situation.previous) == 2
        assert prompts[1].points[0] == prompts[0].points[0]
        assert len(prompts[1].points) == (1 if (answer == mask).all() else 2)


def test_real_masks_equal_the_oracle(shared_data: Path) -> None:
    """Every structure of two whole-heart slices, all strategies, levels and trials."""
    from PIL import Image

    folder = shared_data / "hvsmr_whole_heart_cmr"
    files = sorted(folder.rglob("masks/*.png"))[::40][:2]
    if not files:
        pytest.skip(f"no whole-heart masks under {folder}")
    jitter = Jitter()
    asked = 0
    for file in files:
        colours = np.asarray(Image.open(file).convert("RGB")).astype(np.int64) @ [65536, 256, 1]
        for colour in np.unique(colours[colours > 0]).tolist():
            geometry = ObjectGeometry.from_mask(colours == colour)
            for name in PROMPTED:
                ask = prompter(paper(name), jitter)
                for situation in situations_of(
                    geometry, f"h/{file.stem}/{colour}", paper(name), jitter
                ):
                    if situation.jitter_hi == 10 and situation.trial:
                        continue
                    assert plain(ask(situation)) == expected(
                        situation, RECIPE[name], "first", "edges"
                    )
                    asked += 1
    assert asked
