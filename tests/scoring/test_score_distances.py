"""Border distances against brute force and by hand."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from oracles import scores as oracle
from oracles.masks import Mask, masks, not_empty, objects, shapes
from scipy.ndimage import binary_erosion, distance_transform_edt

from engine.compiled import compiled
from engine.errors import SamscopeError
from engine.results.schema import DISTANCES
from engine.scoring import Distances, TruthBorder, border_kernels, crowd_kernels, nearest_kernels
from engine.scoring.distances import Border, _Comparison, _Way

PAIRS = shapes().flatmap(lambda s: st.tuples(not_empty(s), masks(s)))
SPACINGS = st.one_of(
    st.none(),
    st.sampled_from([(1.0, 1.0), (0.5, 0.5), (0.4, 0.4), (0.1, 5.0), (3.0, 0.25)]),
    st.sampled_from([(1e-6, 1e3), (1e3, 1e-6), (1e-9, 1e9), (1e9, 1e-9)]),
    st.tuples(st.floats(0.01, 50), st.floats(0.01, 50)),
)


def assert_equal(found: Distances, expected: dict[str, float | None]) -> None:
    assert asdict(found).keys() == expected.keys()
    for name, value in asdict(found).items():
        wanted = expected[name]
        if wanted is None:
            assert value is None, name
        else:
            assert value == pytest.approx(wanted, rel=1e-9, abs=1e-9), name


@given(PAIRS, SPACINGS, st.sampled_from([2.0, 0.5, 1.0, 1.5, math.sqrt(2), 3.0, 7.3]))
@settings(max_examples=150)
def test_distances_equal_brute_force(
    pair: tuple[Mask, Mask], spacing: tuple[float, float] | None, tolerance: float
) -> None:
    truth, pred = pair
    prepared = TruthBorder.from_mask(
        truth, spacing, tolerance_px=tolerance, tolerance_mm=tolerance * 1.25
    )
    expected = oracle.distances(pred, truth, spacing, tolerance, tolerance * 1.25)
    assert_equal(prepared.distances(pred), expected)


@given(PAIRS)
def test_hausdorff_in_pixels_is_the_root_of_an_integer(pair: tuple[Mask, Mask]) -> None:
    found = TruthBorder.from_mask(pair[0]).distances(pair[1]).hausdorff_px
    if found is not None:
        assert found == math.sqrt(round(found * found))


@given(objects())
def test_borders_equal_brute_force(mask: Mask) -> None:
    border = Border.from_mask(mask)
    assert border is not None
    found = np.argwhere(border.pixels) + np.array([border.y0, border.x0])
    assert found.tolist() == oracle.border(mask).tolist()
    assert border.count == len(found)
    rows, columns = np.nonzero(mask)
    assert (border.y0, border.y1) == (rows.min(), rows.max())
    assert (border.x0, border.x1) == (columns.min(), columns.max())


@given(PAIRS)
def test_a_prepared_truth_is_not_used_up(pair: tuple[Mask, Mask]) -> None:
    truth, pred = pair
    prepared = TruthBorder.from_mask(truth, (1.0, 2.0))
    first = prepared.distances(pred)
    assert prepared.distances(truth) == Distances(0, 0, 0, 1, 0, 0, 0, 1)
    assert prepared.distances(pred) == first == TruthBorder.from_mask(truth, (1, 2)).distances(pred)


@given(PAIRS)
def test_the_distances_are_symmetric(pair: tuple[Mask, Mask]) -> None:
    if pair[1].any():
        forth = TruthBorder.from_mask(pair[0], (0.5, 2.0)).distances(pair[1])
        back = TruthBorder.from_mask(pair[1], (0.5, 2.0)).distances(pair[0])
        assert asdict(forth) == pytest.approx(asdict(back), rel=1e-12)


def test_by_hand() -> None:
    """Two lone pixels 3 rows and 4 columns apart, and an empty prediction."""
    truth, pred = np.zeros((2, 20, 30), dtype=bool)
    truth[10, 10] = pred[13, 14] = True
    near = TruthBorder.from_mask(truth, tolerance_px=5).distances(pred)
    assert near == Distances(hausdorff_px=5, hd95_px=5, assd_px=5, nsd=1)
    assert TruthBorder.from_mask(truth, tolerance_px=4.999).distances(pred).nsd == 0
    stretched = TruthBorder.from_mask(truth, (4.0, 0.75), tolerance_mm=13).distances(pred)
    assert stretched.hausdorff_mm == math.hypot(12, 3)
    assert stretched.nsd_mm == 1
    empty = np.zeros_like(pred)
    assert TruthBorder.from_mask(truth).distances(empty) == Distances(nsd=0.0)
    assert TruthBorder.from_mask(truth, (1, 1)).distances(empty) == Distances(nsd=0, nsd_mm=0)


def test_a_ring_of_known_numbers() -> None:
    """A 5 x 5 square inside a 9 x 9 square: 16 and 32 border pixels."""
    truth, pred = np.zeros((2, 15, 15), dtype=bool)
    truth[3:12, 3:12] = True
    pred[5:10, 5:10] = True
    found = TruthBorder.from_mask(truth).distances(pred)
    outward = [0.0] * 0 + [2.0] * (4 * 5)
    outward += [math.sqrt(5)] * 8 + [math.sqrt(8)] * 4
    inward = [2.0] * 16
    assert found.hausdorff_px == math.sqrt(8)
    assert found.hd95_px == pytest.approx(np.percentile(outward, 95), abs=1e-12)
    assert found.assd_px == pytest.approx((sum(outward) + sum(inward)) / 48, abs=1e-12)
    assert found.nsd == (20 + 16) / 48


def test_millimetre_ties_count_as_within() -> None:
    """0.4 * hypot(3, 4) exceeds 2.0 by rounding in some orders of arithmetic, not in truth."""
    truth, pred = np.zeros((2, 9, 9), dtype=bool)
    truth[1, 1] = pred[4, 5] = True
    assert TruthBorder.from_mask(truth, (0.4, 0.4)).distances(pred).nsd_mm == 1
    assert TruthBorder.from_mask(truth, (0.4, 0.4 + 1e-13)).distances(pred).nsd_mm == 1
    assert TruthBorder.from_mask(truth, (0.41, 0.41)).distances(pred).nsd_mm == 0


@pytest.mark.parametrize("size", [(200, 300), (1, 700), (700, 1)])
def test_larger_masks(size: tuple[int, int]) -> None:
    """Far apart, speckled, full and touching every edge, at sizes with several machine words."""
    rng = np.random.default_rng(3)
    height, width = size
    corner, opposite = np.zeros((2, *size), dtype=bool)
    corner[: height // 8 + 1, : width // 8 + 1] = True
    opposite[-(height // 9) - 1 :, -(width // 9) - 1 :] = True
    speckled = rng.random(size) < 0.03
    full = np.ones(size, dtype=bool)
    frame = full.copy()
    frame[2:-2, 2:-2] = False
    shapes_ = [corner, opposite, speckled, full, frame]
    for truth in shapes_:
        prepared = TruthBorder.from_mask(truth, (0.7, 1.1))
        for pred in shapes_:
            assert_equal(prepared.distances(pred), oracle.distances(pred, truth, (0.7, 1.1)))


def test_any_memory_layout_and_one_compiled_signature() -> None:
    """Read-only, Fortran-ordered and strided masks neither change numbers nor recompile."""
    rng = np.random.default_rng(0)
    truth, pred = rng.random((2, 17, 23)) < 0.4
    expected = TruthBorder.from_mask(truth, (1, 2)).distances(pred)
    frozen = pred.copy()
    frozen.flags.writeable = False
    wide = np.zeros((17, 46), dtype=bool)
    wide[:, ::2] = truth
    for t in (truth, np.asfortranarray(truth), wide[:, ::2]):
        for p in (pred, frozen, np.asfortranarray(pred), pred[::-1][::-1]):
            assert TruthBorder.from_mask(t, (1, 2)).distances(p) == expected
    assert TruthBorder.from_mask(truth, (1, 2), keep_map=False).distances(pred) == expected
    for room, names in (
        (border_kernels, ("bounds", "border_map", "column_distance")),
        (
            nearest_kernels,
            (
                "nearest_sq",
                "nearest_sq_stretched",
                "square_map",
                "ranked",
                "looked_up",
            ),
        ),
        (crowd_kernels, ("tally_among",)),
    ):
        for name in names:
            assert len(getattr(room, name).signatures) == 1, name


def test_kernels_work_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No writable cache folder: numba refuses to cache, the kernel is compiled all the same."""

    def twice(value: int) -> int:
        return 2 * value

    monkeypatch.setattr(config, "CACHE_LOCATOR_CLASSES", "ZipCacheLocator")
    with caplog.at_level("INFO"):
        kernel = compiled(twice)
    assert kernel(21) == 42
    assert "not kept" in caplog.text


@given(st.lists(st.integers(0, 400), min_size=1, max_size=300))
def test_percentile_of_any_sample(values: list[int]) -> None:
    """numpy's linear interpolation, with ties."""
    squares = np.array(values, np.int32)
    expected = np.percentile(np.sqrt(squares), 95)
    found = _Way.of(squares)
    assert found.percentile_95 == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert found.total == pytest.approx(np.sqrt(squares).sum())
    for limit in (-1, 0, 200, 200.5, 400):
        assert found.within(limit) == (squares <= limit).sum()
    tallied = _Way.of_tally(np.bincount(squares))
    assert tallied.total == found.total
    assert np.array_equal(_squares(tallied), np.sort(squares))
    assert np.array_equal(_squares(found), np.sort(squares))


def test_no_order_of_pixels_moves_a_digit() -> None:
    """A prediction turned over beside its truth turned over: the same distances to the bit."""
    rng = np.random.default_rng(5)
    for share in (0.01, 0.3):
        truth, pred = rng.random((2, 90, 110)) < share
        expected = TruthBorder.from_mask(truth, (0.3, 0.3)).distances(pred)
        for turn in (np.fliplr, np.flipud, np.transpose):
            assert TruthBorder.from_mask(turn(truth), (0.3, 0.3)).distances(turn(pred)) == expected


def test_field_names_are_the_stored_ones() -> None:
    assert tuple(field.name for field in fields(Distances)) == DISTANCES


def test_what_cannot_be_measured_is_refused() -> None:
    truth = np.ones((3, 4), dtype=bool)
    with pytest.raises(SamscopeError, match="does not fit"):
        TruthBorder.from_mask(truth).distances(np.ones((4, 4), dtype=bool))
    with pytest.raises(SamscopeError, match="wrong form"):
        TruthBorder.from_mask(truth).distances(np.ones((1, 3, 4), dtype=bool))
    wrong = [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (math.inf, 1.0), (1e-300, 1.0), (1.0, 1e200)]
    for spacing in wrong:
        with pytest.raises(SamscopeError, match="d/c/1"):
            TruthBorder.from_mask(truth, spacing, where="d/c/1")
    with pytest.raises(SamscopeError, match="without pixels"):
        TruthBorder.from_mask(~truth)
    half_known = TruthBorder.from_mask(truth, (1.0, None)).distances(truth)
    assert half_known == Distances(0, 0, 0, 1)


def _known(border: Border | None) -> Border:
    assert border is not None
    return border


def _squares(way: _Way) -> Any:
    """One squared distance a pixel, ascending."""
    return np.repeat(way.squares, np.diff(way.upto, prepend=0))


@pytest.mark.parametrize(
    ("true", "share", "asked", "settled"),
    [
        (None, 0.1, 1, 1),
        (None, 0.06, 1, 1),
        (None, 0.0, 0, 0),  # a disc against a disc
        (0.5, 0.5, 2, 2),
        (0.06, 0.06, 2, 2),
        (0.5, 0.003, 0, 0),  # too few to be a crowd
    ],
)
def test_a_crowd_is_asked_without_its_distances(
    true: float | None, share: float, asked: int, settled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it pays, and only there; the squares are those of a distance transform."""
    rows, columns = np.ogrid[:200, :220]
    noise = np.random.default_rng(0).random((2, 200, 220))
    truth = np.hypot(rows - 90, columns - 100) < 30 if true is None else noise[0] < true
    pred = (truth if true is None else np.zeros_like(truth)) ^ (noise[1] < share)
    assert _tallies(truth, pred, monkeypatch) == (asked, settled)


def test_a_crowd_too_far_away_is_asked_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).random((200, 220)) < 0.3
    truth, pred = np.zeros_like(noise), noise.copy()
    truth[80:90, 190:200] = True
    pred[:, 150:] = False
    assert _tallies(truth, pred, monkeypatch) == (1, 0)


def _tallies(truth: Mask, pred: Mask, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How often a crowd was asked, and had all answers; the squares are a distance transform's."""
    tallies: list[Any] = []
    real = Border.tally_among
    monkeypatch.setattr(Border, "tally_among", lambda *a: tallies.append(real(*a)) or tallies[-1])
    other = _known(Border.from_mask(pred))
    found = _Comparison(TruthBorder.from_mask(truth), other).in_pixels()
    ours, theirs = (m & ~binary_erosion(m, border_value=0) for m in (pred, truth))
    for way, here, there in ((found.there, ours, theirs), (found.back, theirs, ours)):
        wanted = (distance_transform_edt(~there)[here] ** 2).round()
        assert np.array_equal(_squares(way), np.sort(wanted))
    return len(tallies), sum(tally.size > 0 for tally in tallies)


def _drawn(rng: np.random.Generator, size: tuple[int, int]) -> Mask:
    """A mask of one of the kinds that predictions come in, not empty."""
    mask = np.zeros(size, np.bool_)
    y, x = (int(rng.integers(0, n)) for n in size)
    kind = rng.integers(0, 5)
    if kind == 0:  # speckled
        mask |= rng.random(size) < rng.random()
    elif kind == 1:  # the whole frame, or all but a pixel
        mask[:] = True
        mask[y, x] = rng.random() < 0.5
    elif kind == 2:  # tiny: the pixel below
        pass
    elif kind == 3:  # a box
        mask[y : y + int(rng.integers(1, 20)), x : x + int(rng.integers(1, 20))] = True
    else:  # a disc, cut by the frame
        rows, columns = np.ogrid[: size[0], : size[1]]
        mask |= np.hypot(rows - y, columns - x) < rng.integers(1, 20)
    mask[y, x] |= not mask.any()
    return mask


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_squared_distances_are_the_integers_of_brute_force(seed: int) -> None:
    """A hundred pairs an example: 10,000 in all."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        size = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
        truth, mask = _drawn(rng, size), _drawn(rng, size)
        other = Border.from_mask(mask)
        assert other is not None
        kept, anew = (TruthBorder.from_mask(truth, keep_map=keep) for keep in (True, False))
        ours, theirs = (np.argwhere(m & ~binary_erosion(m, border_value=0)) for m in (mask, truth))
        between = ((ours[:, None] - theirs[None]) ** 2).sum(axis=-1)
        wanted = [np.sort(between.min(axis=axis)) for axis in (1, 0)]
        comparisons = [_Comparison(border, other) for border in (kept, anew)]
        for found in (
            *(comparison.in_pixels() for comparison in comparisons),
            comparisons[0].stretched(1.0, 1.0),
        ):
            assert np.array_equal(_squares(found.there), wanted[0])
            assert np.array_equal(_squares(found.back), wanted[1])
        for asking, crowd, squares in (
            (other, kept.border, wanted[0]),
            (kept.border, other, wanted[1]),
        ):
            tally = asking.tally_among(crowd)
            assert (tally.size == 0) == (squares[-1] > crowd_kernels.REACH**2)
            assert tally.size == 0 or np.array_equal(_squares(_Way.of_tally(tally)), squares)
        assert np.array_equal(_squares(anew.way_from(other)), wanted[0])
        assert np.array_equal(_squares(kept.way_from(other)), wanted[0])


@pytest.mark.parametrize(
    ("size", "place", "keep", "pixels", "kept"),
    [
        ((64, 80), (30, 40), True, 81, True),
        ((64, 80), (30, 40), True, 80, False),  # few pixels: no look-up pays
        ((64, 80), (30, 40), False, 81, False),  # no room
        ((64, 80), (0, 0), True, 81, False),  # so many distances, from a corner
        ((20, 80), (9, 39), True, 81, False),  # and in a narrow slice: 10^2 + 40^2 > 1600
        ((5, 5), (1, 0), True, 9, True),  # 3^2 + 4^2 are 25 pixels
        ((2, 4), (0, 0), True, 4, False),  # 10 > 8
        ((2, 4), (1, 1), True, 4, True),  # 5
        ((4, 2), (2, 0), True, 4, True),
    ],
)
def test_a_table_of_distances_is_kept_where_it_pays(
    size: tuple[int, int], place: tuple[int, int], keep: bool, pixels: int, kept: bool
) -> None:
    truth = np.zeros(size, np.bool_)
    truth[place] = True
    spread = np.zeros(truth.size, np.bool_)
    spread[np.linspace(0, truth.size - 1, pixels).astype(int)] = True
    other = Border.from_mask(spread.reshape(size))
    assert other is not None
    assert other.count == pixels
    border = TruthBorder.from_mask(truth, keep_map=keep)
    expected = TruthBorder.from_mask(truth, keep_map=False).way_from(other)
    found = border.way_from(other)
    assert (vars(border).get("_ranks") is not None) == kept
    assert np.array_equal(found.squares, expected.squares)
    assert np.array_equal(found.upto, expected.upto)
