"""No figure sends a browser more marks than it can draw, however large the answer."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from results.synthetic import make

from dashboards.app.data import RunData
from dashboards.app.parts import MOST_CELLS, drawn, figure
from dashboards.app.view import View
from dashboards.figures import FIGURES
from dashboards.figures.mask_picture import CHOSEN, Layer
from dashboards.figures.mask_picture import figure as picture
from dashboards.figures.theme import MOST_MARKS
from dashboards.figures.trial_frames import MOST_FRAMES, Frame
from dashboards.figures.trial_frames import figure as moving
from engine.prompts.base import Box, Prompt


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    made = make(tmp_path_factory.mktemp("synthetic"))
    made.build()
    return RunData(made.run_dir)


def multiplied(answer: pa.Table, models: int, strategies: int, structures: int) -> pa.Table:
    """The rows of one model and strategy, said of many; each structure many times."""
    rows = answer.to_pylist()
    names = ("model", "strategy")
    first = [r for r in rows if all(r.get(n) == rows[0].get(n) for n in names)]
    copies: dict[str, int] = {"model": models, "strategy": strategies, "structure": structures}
    for name, count in copies.items():
        if name in answer.column_names:
            first = [row | {name: f"{row[name]} {at}"} for at in range(count) for row in first]
    return pa.Table.from_pylist(first, schema=answer.schema)


class Large:
    """What a page asks, answered at length."""

    def __init__(self, data: RunData, models: int, strategies: int) -> None:
        self._data, self._models, self._strategies = data, models, strategies

    def answer(self, name: str, view: View) -> pa.Table:
        return multiplied(self._data.answer(name, view), self._models, self._strategies, 40)


def marks_in(body: Any) -> list[int]:
    """Of every figure of a page, from what is sent."""
    found = []
    for part in body:
        sent = getattr(part, "data-figure", None)
        if sent is not None:
            found.append(sum(
                sum(map(len, trace["z"])) if "z" in trace else len(trace.get("x", ()))
                for trace in json.loads(sent)["data"]
            ))  # fmt: skip
    return found


@pytest.mark.parametrize("spec", FIGURES, ids=lambda spec: spec.name)
def test_a_large_answer_is_drawn_with_few_marks(data: RunData, spec: Any) -> None:
    large: Any = Large(data, 10, MOST_CELLS // 10)
    each = "model" if spec.name == "structure_modality" else None
    body = figure(spec.name, large, View(), each=each)
    found = marks_in(body)
    assert all(count <= MOST_MARKS for count in found)
    assert found or "than one figure can show" in str(body)


@pytest.mark.parametrize("name", ["dice_by_strategy", "jitter", "factor_bins", "coverage"])
def test_a_huge_answer_is_refused_before_it_is_drawn(data: RunData, name: str) -> None:
    started = time.process_time()
    body = figure(name, Large(data, 40, 50), View())  # type: ignore[arg-type]
    assert time.process_time() - started < 20
    assert marks_in(body) == []
    assert "than one figure can show" in str(body)


def test_a_figure_with_more_marks_becomes_words() -> None:
    made = picture(np.zeros((100, 100), np.uint8), [], Prompt(), filled=None)
    made.add_scatter(x=[0.0] * (MOST_MARKS + 1), y=[0.0] * (MOST_MARKS + 1))
    assert marks_in(drawn("x", made)) == []


def test_rough_masks_share_what_a_picture_may_have() -> None:
    y, x = np.mgrid[:240, :240]
    stripes = [Layer(f"{n}", (x % 2 == 0) & (y % 8 < 7) & (x < 80), CHOSEN) for n in range(9)]
    image = np.zeros((240, 240), np.uint8)
    made = picture(image, stripes, Prompt(box=Box(0, 0, 9, 9)), filled=stripes[0])
    found = [len(trace.x) for trace in made.data]
    assert found[0] > 10_000  # the first is drawn whole
    assert 0 in found  # the last not at all
    assert sum(found) <= MOST_MARKS


def test_every_frame_of_rough_masks_stays_drawable() -> None:
    rough = np.indices((80, 80)).sum(axis=0) % 2 == 0
    soft = np.zeros((80, 80), np.bool_)
    soft[20:60, 20:60] = True
    frames = [Frame(n, Prompt(), rough if n % 2 else soft, 0.5) for n in range(MOST_FRAMES)]
    made = moving(np.zeros((80, 80), np.uint8), soft, frames)
    assert len(made.frames) == MOST_FRAMES
    sent = [sum(len(trace.x) for trace in frame.data) for frame in made.frames]
    assert sent[0] == 4 * 3  # a square, in straight pieces
    assert sum(sent) <= MOST_MARKS
