"""Figures: what they show, from answers made by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dashboards.figures import FIGURES, draw, paired
from dashboards.figures.rows import coverage, hover, offsets, segments
from dashboards.figures.structure_modality import MAX_ROWS
from dashboards.figures.theme import colour, symbol
from engine.analysis import QUESTIONS
from engine.errors import UserError


def answer(**changes: Any) -> dict[str, Any]:
    row = {"model": "m", "strategy": "box", "selection": "oracle", "n": 9, "expected": 10,
           "subjects": 3}  # fmt: skip
    for stem in ("dice", "dice_balanced", "gap", "gap_balanced", "drop"):
        row |= {stem: 0.5, f"{stem}_lo": 0.4, f"{stem}_hi": 0.7}
    return {**row, **changes}


def test_every_figure_asks_a_known_question() -> None:
    for spec in FIGURES:
        assert spec.question in QUESTIONS
    with pytest.raises(UserError, match="jitter"):
        draw("jiter", pa.table({}))


def test_marks_lie_at_the_means_and_lines_span_the_intervals() -> None:
    figure = draw("dice_by_strategy", pa.Table.from_pylist([answer(), answer(strategy="point_1")]))
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    assert list(marks[0].x) == [0.5, 0.5]
    assert list(lines[0].x) == [0.4, 0.7, None, 0.4, 0.7, None]
    assert figure.layout.yaxis.ticktext[0].startswith("box")
    assert "9/10" in figure.layout.yaxis.ticktext[0]


def test_undefined_means_leave_no_mark() -> None:
    nothing = answer(dice=None, dice_lo=None, dice_hi=None, dice_balanced=None,
                     dice_balanced_lo=None, dice_balanced_hi=None, n=0)  # fmt: skip
    figure = draw("dice_by_strategy", pa.Table.from_pylist([nothing]))
    assert all(trace.x in ((None,), ()) for trace in figure.data)
    assert "0/10" in figure.layout.yaxis.ticktext[0]


def test_jitter_curves_follow_the_levels() -> None:
    levels = [(0, 0), (0, 10), (10, 20)]
    rows = [answer(jitter_lo=lo, jitter_hi=hi, dice=0.9 - 0.01 * hi) for lo, hi in levels]
    figure = draw("jitter", pa.Table.from_pylist(rows))
    (curve,) = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert list(curve.x) == [0, 1, 2]
    assert list(curve.y) == pytest.approx([0.9, 0.8, 0.7])
    assert list(figure.layout.xaxis.ticktext) == ["none", "0–10", "10–20"]
    assert "none: 9/10" in figure.layout.meta["note"]
    assert figure.layout.yaxis.range[1] > 1


def test_low_jitter_curves_are_not_squashed() -> None:
    low = {"dice": 0.05, "dice_lo": 0.04, "dice_hi": 0.08}
    rows = [answer(jitter_lo=0, jitter_hi=hi, **low) for hi in (0, 10)]
    figure = draw("jitter", pa.Table.from_pylist(rows))
    assert 0.08 < figure.layout.yaxis.range[1] < 0.2


def test_groups_along_a_factor_carry_their_intervals() -> None:
    place = {"factor": "area_px", "lo": 51.0, "hi": 80.0, "dice_q25": 0.3, "dice_q75": 0.8}
    alone = {"dice_lo": None, "dice_hi": None, "subjects": 1}
    rows = [answer(bin=1, **place), answer(bin=2, **place, **alone)]
    (band, curve) = draw("factor_bins", pa.Table.from_pylist(rows)).data
    assert list(curve.error_y.array) == pytest.approx([0.2, None])
    assert list(curve.error_y.arrayminus) == pytest.approx([0.1, None])
    assert "[0.400, 0.700]" in curve.text[0]
    assert "9 scored / 10 expected, 3 subjects" in curve.text[0]
    assert "no interval" in curve.text[1]
    assert list(band.x) == [1, 2, 2, 1]
    several = [answer(strategy=name, bin=1, **place) for name in ("a", "b")]
    figure = draw("factor_bins", pa.Table.from_pylist(several))
    assert [trace.x[0] for trace in figure.data] == [0.75, 1.25]


def test_heat_map_caps_its_rows_and_says_so() -> None:
    rows = [
        answer(structure=f"s{i}", modality="CT", expected=i + 1, n=i) for i in range(MAX_ROWS + 5)
    ]
    figure = draw("structure_modality", pa.Table.from_pylist(rows))
    (heat,) = figure.data
    assert len(heat.z) == MAX_ROWS
    assert figure.layout.yaxis.ticktext[0].startswith(f"s{MAX_ROWS + 4} · CT")  # most objects
    assert figure.layout.meta["note"].startswith("5 rows")


def test_a_comparison_caps_its_rows_and_says_so() -> None:
    rows = [
        answer(structure=f"s{n}", modality="CT", baseline="b", gain=0.1, gain_lo=0.0, gain_hi=0.2)
        for n in range(paired.MAX_ROWS + 1)
    ]
    full = draw("paired", pa.Table.from_pylist(rows[:-1]))
    assert "only in the CSV" not in full.layout.meta["note"]
    figure = draw("paired", pa.Table.from_pylist(rows))
    assert "1 row with the fewest objects is only in the CSV." in figure.layout.meta["note"]


def test_words_and_places() -> None:
    rows = [answer(n=3), answer(n=9)]
    assert coverage(rows) == "3–9 / 10"
    assert coverage(rows[:1]) == "3/10"
    assert "nothing" in hover(answer(dice=None), "dice")
    assert "no interval" in hover(answer(dice_lo=None, dice_hi=None), "dice")
    assert segments([answer(dice_lo=None)], "dice", [0.0]) == ([], [])
    assert offsets(1, 0.4) == [0.0]
    assert offsets(3, 0.4) == pytest.approx([-0.2, 0, 0.2])
    assert len({(colour(i), symbol(i)) for i in range(36)}) == 36
