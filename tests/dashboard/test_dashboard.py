"""What the dashboard shows, without a browser: filters, cases, refusals, a run that goes on."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from results.synthetic import make
from werkzeug.test import Client

from dashboards.app import make_app, serve
from dashboards.app.case_rows import case_rows
from dashboards.app.data import PICK_BY_PICK, RunData
from dashboards.app.masks import Masks
from dashboards.app.pages import PAGES, compare
from dashboards.app.pages.cases import case, played
from dashboards.app.parts import _distinct
from dashboards.app.runs_compared import compare_runs
from dashboards.app.state import State
from dashboards.app.view import Pick, View
from dashboards.figures.mask_picture import edges
from dashboards.figures.rows import SEEN_MARK
from engine.analysis import run as ask
from engine.analysis.questions import QUESTIONS, answer, keep_answers
from engine.cli import MISTAKE, run
from engine.errors import UserError
from engine.results.query import connect


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = make(tmp_path_factory.mktemp("synthetic"))
    found.build()
    return found


@pytest.fixture(scope="module")
def data(made: Any) -> RunData:
    return RunData(made.run_dir)


def test_a_view_survives_its_url() -> None:
    view = View({"model": ("tiny",), "structure": ("left kidney", "a&b=c")},
                Pick("a/b/00000/x%2Fy/0", "tiny", "box", "oracle", 0, 10, 2, 0))  # fmt: skip
    assert View.of(view.search()) == view


@pytest.mark.parametrize("search", ["", "?", "?object=x", "?lo=-1&trial=x", "?model=", "?%ff=%ff"])
def test_any_query_string_is_a_view(search: str) -> None:
    assert View.of(search).pick is None


def test_filters_on_objects_hold_for_every_question(data: RunData, made: Any) -> None:
    """As if the run had only these objects: n and N follow."""
    view = View({"structure": ("liver",), "dataset": ("abdomen_ct",)})
    wanted = [o for o, row in made.objects.items()
              if row["structure"] == "liver" and o.startswith("abdomen_ct/")]  # fmt: skip
    assert wanted
    for row in data.answer("leaderboard", view).to_pylist():
        scores = [
            2 * s["tp"] / (s["pred_px"] + t["gt_px"])
            for t in made.trials
            if t["object_id"] in wanted and t["model"] == row["model"].removesuffix(SEEN_MARK)
            and t["strategy"] == row["strategy"] and t["jitter_hi"] == 0
            for s in t["selections"]
            if s["selection"] == row["selection"] and s["status"] != "failed"
        ]  # fmt: skip
        assert (row["n"], row["expected"]) == (len(scores), len(wanted))
        assert row["dice"] == pytest.approx(np.mean(scores))


def test_pairs_under_a_filter_are_of_its_objects(data: RunData, made: Any) -> None:
    view = View({"structure": ("liver",), "dataset": ("abdomen_ct",)})
    with connect(made.run_dir) as connection:
        wanted = {
            tuple(keys): (n, gain)
            for *keys, n, gain in connection.execute(
                """SELECT baseline, model, strategy, selection, modality, count(*), avg(gain)
                FROM paired_results WHERE structure = 'liver' AND dataset = 'abdomen_ct'
                GROUP BY ALL"""
            ).fetchall()
        }
    found = {
        (*(row[name].removesuffix(SEEN_MARK) for name in ("baseline", "model")),
         row["strategy"], row["selection"], row["modality"]): (row["n"], row["gain"])
        for row in data.answer("paired", view).to_pylist()
        if row["n"]
    }  # fmt: skip
    assert found.keys() == wanted.keys()
    assert len(found) > 3
    for key, (n, gain) in found.items():
        assert (n, pytest.approx(gain, abs=1e-14)) == wanted[key]


def test_no_filter_gives_the_answers_of_the_run(data: RunData, made: Any) -> None:
    with connect(made.run_dir) as connection:
        for name in QUESTIONS:
            found, wanted = data.answer(name, View()), ask(connection, name)
            # names of models carry a mark where one has seen the data in training
            columns = [c for c in wanted.column_names if c not in ("model", "baseline")]
            for column in columns:  # threads add up in any order: last bits may differ
                values = found[column].to_pylist()
                if pa.types.is_floating(found.schema.field(column).type):
                    known = [v is not None for v in values]
                    assert known == [v is not None for v in wanted[column].to_pylist()], name
                    expected = wanted[column].drop_null().to_pylist()
                    assert [v for v in values if v is not None] == pytest.approx(
                        expected, rel=1e-12
                    ), name
                else:
                    assert values == wanted[column].to_pylist(), name


def test_a_kept_answer_is_not_given_under_a_filter(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.build()
    database = (made.run_dir / "results.duckdb").resolve()
    with duckdb.connect(str(database)) as connection:
        keep_answers(connection)
    data, view = RunData(made.run_dir), View({"structure": ("liver",)})
    whole, part = (data.answer("leaderboard", v)["expected"].to_pylist() for v in (View(), view))
    liver = sum(row["structure"] == "liver" for row in made.objects.values())
    assert set(whole) == {len(made.objects)}
    assert set(part) == {liver}


@pytest.mark.parametrize("text", ["liver' OR '1'='1", "'", "''; DROP TABLE objects; --", 'a"b'])
def test_a_filter_is_a_text_whatever_it_holds(data: RunData, text: str) -> None:
    view = View({"structure": (text,)})
    assert set(data.answer("leaderboard", view)["expected"].to_pylist()) <= {0}


def test_columns_of_one_name_are_told_apart() -> None:
    assert _distinct(["a", "b", "a", "a", "a (2)"]) == ["a", "b", "a (2)", "a (3)", "a (2) (2)"]


@pytest.mark.parametrize("name", sorted(PICK_BY_PICK))
def test_a_figure_of_one_selection_asks_for_it_alone(made: Any, name: str) -> None:
    data, view = RunData(made.run_dir), View({"structure": ("liver",)})
    one = data.one_selection(view)
    assert one.values("selection") == ("predicted_iou",)
    alone = data._ask(name, one, one.picks)
    assert set(alone["selection"].to_pylist()) == {"predicted_iou"}
    assert len(set(data.answer("leaderboard", view)["selection"].to_pylist())) > 1
    asked = data.answer(name, one).to_pylist()
    whole = data.answer(name, view).to_pylist()
    assert len(whole) > len(alone)
    shown = [row for row in whole if row["selection"] == "predicted_iou"]
    assert [repr(row) for row in shown] == [repr(row) for row in asked]
    picks = "SELECT count(*) AS n FROM expected_scores"
    assert data.rows(picks, view=view) == data.rows(picks)


def test_under_a_filter_factors_are_those_of_dice_alone(made: Any) -> None:
    data, view = RunData(made.run_dir), View({"structure": ("liver",)})
    with data.connection(view) as narrow:
        whole = answer(narrow, QUESTIONS["factors"]).to_pylist()
    wanted = [row for row in whole if row["score"] == "dice"]
    assert 0 < len(wanted) < len(whole)
    found = data.answer("factors", view).to_pylist()
    for row in (*wanted, *found):
        row["model"] = row["model"].removesuffix(SEEN_MARK)
    assert [repr(row) for row in found] == [repr(row) for row in wanted]


def test_threads_ask_under_one_filter_at_once(made: Any) -> None:
    data, view = RunData(made.run_dir), View({"structure": ("liver",)})
    sql = "SELECT count(*) AS n, ? AS who FROM objects"
    ((alone,),) = [row.values() for row in data.rows("SELECT count(*) FROM objects", view=view)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda who: data.rows(sql, [who], view), range(200)))
    assert found == [[{"n": alone, "who": who}] for who in range(200)]


def test_the_selection_shown_is_one_that_the_filters_leave(data: RunData) -> None:
    view = View({"structure": ("liver",), "selection": ("single", "oracle")})
    assert data.one_selection(view).values("selection") == ("oracle",)
    assert data.one_selection(View({"model": ("nobody",)})).values("model") == ("nobody",)


def test_a_filter_that_keeps_everything_changes_no_mean(data: RunData) -> None:
    assert data.answer("leaderboard", View({"dataset": tuple(data.choices().values["dataset"])}))[
        "dice"
    ].to_pylist() == pytest.approx(data.answer("leaderboard", View())["dice"].to_pylist())


def test_models_that_have_seen_what_is_shown_are_marked(data: RunData) -> None:
    names = set(data.answer("leaderboard", View())["model"].to_pylist())
    assert names == {"tiny", "tuned" + SEEN_MARK}
    assert data.seen(View({"dataset": ("skin/photo",)})) == {"tuned": (1, 2)}
    assert data.seen(View({"structure": ("none",)})) == {}


def test_cases_come_in_blocks_sorted_and_filtered(data: RunData) -> None:
    asked = {"startRow": 2, "endRow": 7, "sortModel": [{"colId": "dice", "sort": "asc"}]}
    view = View({"strategy": ("box",)})
    block = case_rows(data, view, asked)
    whole = data.rows("SELECT count(*) AS n FROM final_undisplaced WHERE strategy = 'box'")
    assert block["rowCount"] == whole[0]["n"]
    dice = [row["dice"] for row in block["rowData"]]
    assert len(dice) == 5
    assert dice == sorted(dice)
    model = {"dice": {"filterType": "number", "type": "greaterThan", "filter": 0.5},
             "structure": {"filterType": "text", "type": "contains", "filter": "KID'"},
             "nothing": {"type": "contains", "filter": "x"}}  # fmt: skip
    assert case_rows(data, view, {"endRow": 9, "filterModel": model})["rowCount"] == 0
    hostile = {"sortModel": [{"colId": "dice; DROP TABLE trials", "sort": "asc"}], "endRow": 3}
    assert len(case_rows(data, view, hostile)["rowData"]) == 3


@pytest.mark.parametrize(
    "asked",
    [
        {"startRow": "x"}, {"startRow": 10**30}, {"sortModel": ["x"]},
        {"filterModel": {"structure": {"filterType": "number", "type": "equals", "filter": 1}}},
        {"filterModel": {"dice": {"filterType": "text", "type": "equals", "filter": "much"}}},
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_read_as_far_as_it_does(
    data: RunData, asked: dict[str, Any]
) -> None:
    whole = case_rows(data, View(), {"endRow": 5})["rowCount"]
    assert whole > 5
    assert case_rows(data, View(), {"endRow": 5, **asked})["rowCount"] in (whole, 0)
    if "structure" not in asked.get("filterModel", {}):
        assert case_rows(data, View(), {"endRow": 5, **asked})["rowCount"] == whole


def test_no_question_counts_more_than_it_expects_under_a_filter(data: RunData) -> None:
    view = View({"structure": ("liver",)})
    for name in QUESTIONS:
        for row in data.answer(name, view).to_pylist():
            if isinstance(row.get("n"), int) and isinstance(row.get("expected"), int):
                assert row["n"] <= row["expected"], (name, row)
            if "done" in row and "expected" in row:
                assert row["done"] <= row["expected"], (name, row)


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.build()
    with duckdb.connect(str((made.run_dir / "results.duckdb").resolve())) as connection:
        connection.execute("UPDATE runs SET database_version = '1-000000000000'")
    with pytest.raises(UserError, match="another version of samscope"):
        RunData(made.run_dir)


def test_without_its_collection_a_case_still_has_its_scores(data: RunData, made: Any) -> None:
    trial = next(t for t in made.trials if t["strategy"] == "box" and t["status"] == "ok")
    pick = Pick(trial["object_id"], trial["model"], "box", "oracle", trial["jitter_lo"],
                trial["jitter_hi"], trial["trial"])  # fmt: skip
    shown = Masks(data).show(pick)
    assert shown is not None
    assert shown.image is None
    assert "this is not a run directory" in str(shown.problem)
    assert shown.candidates
    assert Masks(data).show(Pick("no/such", "tiny", "box", "oracle")) is None


def test_every_page_of_a_run_with_failures(data: RunData) -> None:
    state = State(data, Masks(data), data)
    for page in PAGES:
        for view in (View(), View({"structure": ("none",)}), View({"model": ("nobody",)})):
            assert page.body(state, view), page.title


def test_newer_results_are_read_once_they_are_there(made: Any, tmp_path: Path) -> None:
    run_dir = shutil.copytree(made.run_dir, tmp_path / "run", symlinks=True)
    data, liver = RunData(run_dir), View({"structure": ("liver",)})
    assert set(data.answer("leaderboard", liver)["expected"].to_pylist()) != {0}
    with data.connection() as before:
        first = data.newest
        shutil.copyfile(first, run_dir / "results-9.duckdb")
        with duckdb.connect(str(run_dir / "results-9.duckdb")) as newer:
            newer.execute("DELETE FROM objects WHERE structure = 'liver'")
        (run_dir / "results.duckdb").unlink()
        (run_dir / "results.duckdb").symlink_to("results-9.duckdb")
        assert data.newest.name == "results-9.duckdb" != first.name
        assert data.answer("coverage", View()).num_rows
        assert before.execute("SELECT count(*) FROM trials").fetchall()[0][0] > 0
    assert set(data.answer("leaderboard", liver)["expected"].to_pylist()) == {0}


AT_WORK = """
import signal, sys, threading
from pathlib import Path
from dashboards.app import server
from engine.commands.dashboard import dashboard_command

class Asked(server.RunData):
    def __init__(self, run_dir):
        super().__init__(run_dir)
        sql = "SELECT sum(sin(i)) FROM range(100000000000) t(i)"
        threading.Thread(target=self.rows, args=(sql,), daemon=True).start()  # as a request is

server.RunData = Asked
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it for its jobs
dashboard_command(Path(sys.argv[1]), "127.0.0.1", 0, None)
"""


def test_it_ends_while_a_question_is_asked(made: Any) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, str(made.run_dir)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with serving, ExitStack() as ending:
        ending.callback(serving.kill)
        assert serving.stdout is not None
        (address,) = re.findall(r"http://\S+", serving.stdout.readline())
        urlopen(address, timeout=100).close()
        serving.send_signal(signal.SIGINT)
        said, wrong = serving.communicate(timeout=100)
    assert (serving.returncode, said, wrong) == (0, "ended\n", "")


def test_runs_that_cannot_be_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.duckdb").write_bytes(b"no database" * 1000)
    for folder, words in ((tmp_path / "nowhere", "not a run directory"),
                          (tmp_path, "cannot be opened")):  # fmt: skip
        assert run(["dashboard", str(folder), "--port", "0"]) == MISTAKE
        said = capfd.readouterr().err
        assert words in said
        assert "Traceback" not in said


def test_a_taken_port_and_an_unknown_host_are_refused(made: Any) -> None:
    app = make_app(made.run_dir)
    server = serve(app, "127.0.0.1", 0)
    with pytest.raises(UserError, match="cannot listen"):
        serve(app, "127.0.0.1", server.port)
    with pytest.raises(UserError, match="cannot listen"):
        serve(app, "no.such.host.invalid", 0)
    server.server_close()


def test_only_this_machines_names_are_answered(made: Any) -> None:
    server = serve(make_app(made.run_dir), "127.0.0.1", 0)
    asker = Client(server.app)
    ours = (f"127.0.0.1:{server.port}", "localhost", "127.0.0.1", "[::1]", f"[::1]:{server.port}")
    for host in ours:
        assert asker.get("/", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "evil.example:80", "[::1].evil.example", "[::1",
                 "127.0.0.1.evil.example:80", "::1", ""):  # fmt: skip
        assert asker.get("/", headers={"Host": host}).status_code in (400, 403), host
    server.server_close()


def test_a_script_that_is_not_there_is_no_failure(made: Any) -> None:
    asker = make_app(made.run_dir).server.test_client()
    for path in ("nothing/x.js", "plotly/nothing.js", "dash/../../x.js"):
        assert asker.get(f"/_dash-component-suites/{path}").status_code == 404
    with asker.get("/plotly.js") as found:
        assert found.status_code == 200


@pytest.mark.parametrize(
    "odd", ["lo=-1", "lo=99999999", "hi=1e9", "trial=x", "step=7", "step=-1", "step=", "step=٣",
            "lo=9&hi=3&trial=99999999&step=99999999"],
)  # fmt: skip
def test_odd_numbers_in_the_address_of_a_case(data: RunData, made: Any, odd: str) -> None:
    trial = next(t for t in made.trials if t["strategy"] == "box" and t["status"] == "ok")
    names = {"object": trial["object_id"], "of_model": trial["model"], "of_strategy": "box",
             "of_selection": "oracle"}  # fmt: skip
    pick = View.of(f"?{urlencode(names)}&{odd}").pick
    assert pick is not None
    body = case(State(data, Masks(data)), pick)
    assert "box" in str(body)
    assert "This run has no trial" in str(body) or "cannot be shown" in str(body)


def test_trials_that_cannot_be_computed_again_leave_calm_words(data: RunData, made: Any) -> None:
    trial = next(t for t in made.trials if t["strategy"] == "box" and t["jitter_hi"])
    pick = Pick(trial["object_id"], trial["model"], "box", "oracle", trial["jitter_lo"],
                trial["jitter_hi"])  # fmt: skip
    for one in (pick, replace(pick, lo=99999999)):
        (words,) = played(State(data, Masks(data)), one)
        assert "cannot be computed again" in str(words)


def test_words_for_nothing_to_compare(data: RunData) -> None:
    state = State(data, Masks(data))
    assert "leave no two models" in str(compare.body(state, View({"model": ("tiny",)})))


def test_nothing_is_said_to_be_filled_where_the_prediction_is_empty(
    data: RunData, made: Any
) -> None:
    state = State(data, Masks(data))
    for status, words in (("empty_prediction", "of oracle is empty"), ("ok", "mask oracle picked")):
        trial = next(
            t for t in made.trials
            if any((s["selection"], s["status"]) == ("oracle", status) for s in t["selections"])
        )  # fmt: skip
        pick = Pick(trial["object_id"], trial["model"], trial["strategy"], "oracle",
                    trial["jitter_lo"], trial["jitter_hi"], trial["trial"])  # fmt: skip
        assert words in str(case(state, pick))


def test_a_model_of_two_runs_is_compared_with_itself(made: Any, tmp_path: Path) -> None:
    run_dir = shutil.copytree(made.run_dir, tmp_path / "run", symlinks=True)
    mine = RunData(made.run_dir)
    same = compare_runs(mine, RunData(run_dir), View()).to_pylist()
    assert {row["gain"] for row in same} == {0.0}
    assert {row["baseline"] for row in same} == {f"{m} of the other run" for m in ("tiny", "tuned")}
    assert all(row["baseline"].startswith(row["model"]) for row in same)
    assert len(same) == len({(row["model"], row["strategy"], row["selection"]) for row in same})


@pytest.mark.parametrize("seed", range(5))
def test_outlines_run_along_every_pixel_border(seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 12)) < 0.5
    x, y = edges(mask)
    drawn = set()
    for at in range(0, len(x), 3):
        (x0, x1), (y0, y1) = x[at : at + 2], y[at : at + 2]
        assert x0 is not None and x1 is not None and y0 is not None and y1 is not None  # noqa: PT018
        steps = int(max(x1 - x0, y1 - y0))
        for step in range(steps):
            drawn.add((x0 + step, y0, "h") if y0 == y1 else (x0, y0 + step, "v"))
    padded = np.pad(mask, 1)
    across = np.argwhere(padded[1:] != padded[:-1]).tolist()
    along = np.argwhere(padded[:, 1:] != padded[:, :-1]).tolist()
    wanted = {(c - 1.5, r - 0.5, "h") for r, c in across}
    wanted |= {(c - 0.5, r - 1.5, "v") for r, c in along}
    assert drawn == wanted
