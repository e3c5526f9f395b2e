"""The table of cases and the order of changes: what the grid cannot make them do."""

from __future__ import annotations

from typing import Any

import pytest
from results.synthetic import make

from dashboards.app.case_rows import MOST_BLOCK, case_rows
from dashboards.app.data import RunData
from dashboards.app.masks import Masks
from dashboards.app.pages import compare
from dashboards.app.state import State
from dashboards.app.view import View


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    made = make(tmp_path_factory.mktemp("cases"))
    made.build()
    return RunData(made.run_dir)


@pytest.mark.parametrize("asked", [{"endRow": 10**9}, {"startRow": 3, "endRow": 10**9}])
def test_a_block_is_never_larger_than_a_page_needs(data: RunData, asked: dict[str, Any]) -> None:
    block = case_rows(data, View(), asked)
    assert block["rowCount"] > MOST_BLOCK == 200
    assert len(block["rowData"]) == 200


def test_a_block_that_ends_before_it_begins_has_a_row(data: RunData) -> None:
    assert len(case_rows(data, View(), {"startRow": 9, "endRow": 3})["rowData"]) == 1


def test_the_objects_that_changed_most_come_first_up_or_down(data: RunData) -> None:
    table = compare.changed(State(data, Masks(data)), "0", View())
    gains = [float(row["gain"]) for row in table.rowData]
    assert [abs(gain) for gain in gains] == sorted(map(abs, gains), reverse=True)
    assert min(gains) < 0 < max(gains)
