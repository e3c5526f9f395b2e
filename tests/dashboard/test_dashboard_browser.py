"""The dashboard in a real browser: every page, filters, drilling down, SQL, both themes."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from dashboard.conftest import served

from dashboards.app import console, server
from dashboards.app.pages import PAGES
from engine.results.query import run_sql

pytestmark = [pytest.mark.browser, pytest.mark.ray]

WIDTH_PX = 1280
SHOTS = os.environ.get("SAMSCOPE_SCREENSHOTS")
"""A folder: every page is left there as a picture, in both themes."""


QUIET_MS = 200
COUNTED = """(() => {
    let open = 0, since = performance.now();
    const real = window.fetch;
    window.fetch = async (...asked) => {
        open += 1;
        try { return await real(...asked); } finally { open -= 1; since = performance.now(); }
    };
    window.quiet = (ms) => open === 0 && performance.now() - since > ms;
})()"""
"""Playwright's own `networkidle` is of a page's arrival: it waits for nothing that comes later."""


@contextmanager
def visit(browser: Any, address: str, path: str, scheme: str = "light") -> Iterator[Any]:
    """A page that has arrived; afterwards it complained of nothing and asked nobody else."""
    page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    foreign: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:", "blob:")) else foreign.append(r.url),
    )
    page.add_init_script(COUNTED)
    page.goto(address + path)
    page.wait_for_selector("#page > *", timeout=60_000)
    yield page
    assert complaints == []
    assert foreign == []
    page.close()


def settle(page: Any) -> None:
    """Wait until nothing is on its way, and has not been for a moment."""
    page.wait_for_function("ms => window.quiet(ms)", arg=QUIET_MS, timeout=60_000)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_every_page_is_drawn_in_both_themes(browser: Any, world: Any, page: Any) -> None:
    with visit(browser, world.address, page.path) as shown:
        assert shown.locator("nav a.here").inner_text() == page.title
        assert "cannot be shown" not in shown.inner_text("#page")
        for figure in shown.locator("#page [data-figure]").all():
            figure.scroll_into_view_if_needed()
            figure.locator(".main-svg").first.wait_for(timeout=30_000)
        shown.evaluate("scrollTo(0, 0)")
        assert shown.evaluate("document.documentElement.scrollWidth") <= WIDTH_PX
        for scheme in ("light", "dark"):
            shown.wait_for_function(
                "name => document.documentElement.dataset.theme === name", arg=scheme
            )
            back = shown.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 380) is (scheme == "dark")
            if SHOTS:
                settle(shown)
                name = f"{scheme}-{page.title.lower().replace(' ', '-')}.png"
                shown.screenshot(path=Path(SHOTS) / name, full_page=True)
            shown.click("#theme")


def test_from_the_demo_to_its_worst_box_prediction_in_three_clicks(
    browser: Any, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (worst,) = run_sql(
        demo,
        "SELECT object_id FROM final_undisplaced WHERE model = 'tiny' AND strategy = 'box'"
        " AND selection = 'predicted_iou' ORDER BY dice, object_id DESC LIMIT 1",
    ).to_pylist()
    started = time.perf_counter()
    with served(demo) as address, visit(browser, address, "/") as page:
        page.evaluate(
            "window.clicks = 0; addEventListener('click', e => window.clicks += e.isTrusted)"
        )
        page.locator("[data-figure][data-drawn]").first.wait_for(timeout=60_000)
        arrived = time.perf_counter()
        rows = page.locator("#page [id*='cases'] .ag-center-cols-container .ag-row")
        for name, value in (("model", "tiny"), ("strategy", "box")):
            cell = page.locator(f"[col-id={name}]", has_text=re.compile(f"^{value}$"))
            rows = rows.filter(has=cell)
        rows.click()
        page.wait_for_selector("#picture[data-drawn] .main-svg", timeout=60_000)
        ended = time.perf_counter()
        clicks = page.evaluate("window.clicks")
        assert worst["object_id"] in page.inner_text("#case")
        assert page.locator("#picture image").count() == 2  # the slice, and the mask that is tinted
        assert page.locator("#picture .scatterlayer .trace").count() >= 3  # mask, truth, box
        assert 1 <= clicks <= 3
        settle(page)
    with capsys.disabled():
        sys.stdout.write(
            f"\nto the demo's worst box prediction: {clicks} click, first page after "
            f"{arrived - started:.1f} s, its masks {ended - arrived:.1f} s later\n"
        )


def test_what_is_out_of_view_is_drawn_once_it_is_scrolled_to(browser: Any, demo: Path) -> None:
    with served(demo) as address, visit(browser, address, "/factors") as page:
        figures = page.locator("#page [data-figure]")
        page.wait_for_selector("#page [data-drawn]", timeout=60_000)
        settle(page)
        assert figures.count() == 2
        assert page.locator("#page [data-drawn]").count() == 1
        figures.last.scroll_into_view_if_needed()
        page.locator("#page [data-figure][data-drawn]").nth(1).wait_for(timeout=30_000)
        # room was kept for every label: nothing was drawn twice
        for figure in figures.all():
            kept, used = figure.evaluate(
                "f => [JSON.parse(f.dataset.figure).layout.margin, f.firstChild._fullLayout._size]"
            )
            assert {side: used[side] for side in "lrtb"} == {side: kept[side] for side in "lrtb"}


def test_tables_of_a_page_come_with_it(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/coverage?model=fake") as page:
        rows = page.locator("#page [data-late] .ag-row [col-id='model']")
        rows.first.wait_for()
        settle(page)
        assert set(rows.all_inner_texts()) == {"fake"}
        page.click("nav a:has-text('Everything')")
        page.wait_for_selector("#page [data-late] .ag-row [col-id='points_per_side']")
        settle(page)


def test_numbers_come_when_they_are_unfolded(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/randomness?model=fake") as page:
        assert page.locator("#page .ag-row").count() == 0
        page.click("#page summary")
        page.wait_for_selector("#page details .ag-row")
        settle(page)
        names = page.locator("#page details .ag-row [col-id='model']").all_inner_texts()
        assert set(names) == {"fake"}


def test_a_cell_of_the_heat_map_leads_to_its_cases(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/structures") as page:
        page.wait_for_selector(".drill[data-drawn] .heatmaplayer image", timeout=30_000)
        settle(page)
        page.locator(".drill .nsewdrag").first.click(position={"x": 20, "y": 10})
        page.wait_for_url("**/cases?**")
        asked = parse_qs(urlsplit(page.url).query)
        assert {"model", "strategy", "selection", "structure", "modality"} <= set(asked)
        rows = page.locator("#page .ag-center-cols-container .ag-row")
        rows.filter(has_text=asked["structure"][0]).first.wait_for(timeout=30_000)
        settle(page)
        first = rows.first.inner_text()
        assert asked["structure"][0] in first
        assert asked["strategy"][0] in first


def test_a_view_can_be_sent(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/?model=fake&strategy=box") as page:
        page.wait_for_selector("#page [data-figure][data-drawn]", timeout=30_000)
        settle(page)
        assert "fake" in page.inner_text("#filter-model")
        said = " ".join(page.locator("#page [data-figure] text").all_text_contents())
        assert "box" in said
        assert "tiny" not in said
        page.click("nav a:has-text('Randomness')")
        page.wait_for_url("**/randomness?model=fake&strategy=box")
        page.go_back()
        page.wait_for_url("**/?model=fake&strategy=box")
        settle(page)
        page.click("#clear")
        page.wait_for_url(world.address + "/")


def test_filters_change_the_address_and_the_page(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/") as page:
        settle(page)
        before = page.locator(".tiles").inner_text()
        page.click("#filter-structure")
        page.locator(".dash-dropdown-option:has-text('disc')").first.click()
        page.wait_for_url("**/?structure=disc")
        page.wait_for_function(
            "text => document.querySelector('.tiles').innerText !== text", arg=before
        )
        (count,) = run_sql(
            world.run, "SELECT count(*) AS n FROM objects WHERE structure = 'disc'"
        ).to_pylist()
        assert f"{count['n']}\nobjects shown" in page.locator(".tiles").inner_text()


def test_a_selection_that_matches_nothing(browser: Any, world: Any) -> None:
    for path in ("/", "/structures", "/factors", "/cases", "/compare", "/everything"):
        with visit(browser, world.address, path + "?structure=none&model=nobody") as page:
            settle(page)
            assert "cannot be shown" not in page.inner_text("#page"), path


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DROP TABLE trials", "does not only ask"),
        ("ATTACH '/tmp/other.duckdb'", "does not only ask"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled"),
        ("SELEC 1", "yntax"),
        ("SELECT count(*) FROM range(10000000000) a, range(1000) b", "second"),
        ("", "statement"),
    ],
)
def test_hostile_sql_gets_calm_words(
    browser: Any, world: Any, monkeypatch: pytest.MonkeyPatch, sql: str, said: str
) -> None:
    if said == "second":
        monkeypatch.setattr(console, "LIMITS", replace(console.LIMITS, seconds=2.0))
    with visit(browser, world.address, "/sql") as page:
        page.fill("#sql-text", sql)
        page.keyboard.press("Tab")
        page.click("#sql-run")
        page.wait_for_selector("#sql-answer .banner", timeout=60_000)
        text = page.inner_text("#sql-answer")
        assert said in text
        assert "Traceback" not in text


def test_an_answer_as_csv(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/sql") as page:
        page.fill("#sql-text", "SELECT 7 AS a, 'x,y' AS b")
        page.keyboard.press("Tab")
        with page.expect_download() as waiting:
            page.click("#sql-csv")
        assert Path(waiting.value.path()).read_text().split() == ['"a","b"', '7,"x,y"']
        page.wait_for_selector("#sql-answer .ag-row")


def test_the_theme_is_kept(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/coverage") as page:
        page.click("#theme")
        page.wait_for_selector("html[data-theme=dark]")
        page.reload()
        page.wait_for_selector("#page > *")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        settle(page)


def test_the_keyboard_reaches_pages_filters_and_rows(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/cases") as page:
        page.wait_for_selector(".ag-center-cols-container .ag-row")
        settle(page)
        page.locator("nav a").first.focus()
        seen = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.closest('[id]')?.id || ''"))
        assert {"filter-model", "clear"} <= seen
        page.locator(".ag-center-cols-container .ag-row .ag-cell").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press(" ")
        page.wait_for_url("**object=**")
        page.wait_for_selector("#case h2", timeout=60_000)
        settle(page)


def test_the_window_and_the_opacity_of_a_case(browser: Any, world: Any) -> None:
    (row,) = run_sql(world.run, "SELECT object_id FROM objects LIMIT 1").to_pylist()
    case = f"/cases?object={row['object_id']}&of_model=tiny&of_strategy=box&of_selection=oracle"
    with visit(browser, world.address, case) as page:
        page.wait_for_selector("#picture[data-drawn] .main-svg", timeout=60_000)
        settle(page)
        style = "at => getComputedStyle(document.querySelectorAll('#picture image')[at])"
        assert page.evaluate(f"({style})(0).filter") in ("none", "brightness(1) contrast(1)")
        page.locator("[id='contrast'] [role=slider]").first.focus()
        for _ in range(3):
            page.keyboard.press("PageUp")
        page.wait_for_function(f"() => ({style})(0).filter.includes('contrast(1.')")
        page.locator("[id='opacity'] [role=slider]").first.focus()
        page.keyboard.press("End")
        page.wait_for_function(f"() => ({style})(1).opacity === '1'")


def test_a_case_is_asked_for_once_and_once_for_each_displacement(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/cases?model=tiny&strategy=box") as page:
        asked = _asked_for_cases(page)
        page.locator(".ag-row [col-id=model]:has-text('tiny')").first.click()
        page.wait_for_selector("#picture[data-drawn] .main-svg", timeout=60_000)
        settle(page)
        assert len(asked) == 1
        page.click("[id*=level]")
        page.click("[role=option]:has-text('0-10 px, trial 1')")
        page.wait_for_url("**hi=10**trial=1**")
        page.wait_for_selector("[id*='0|10|1|']", timeout=60_000)
        settle(page)
        assert len(asked) == 2


def test_a_row_can_be_chosen_again_after_back(browser: Any, world: Any) -> None:
    with visit(browser, world.address, "/cases?model=tiny&strategy=box") as page:
        table = page.locator("#page .ag-center-cols-container")
        addresses = [page.url]
        for place in (0, 1):
            table.locator(f"[row-index='{place}'] [col-id=model]:has-text('tiny')").click()
            page.wait_for_function("before => location.href !== before", arg=addresses[-1])
            settle(page)
            addresses.append(page.url)
        page.go_back()
        page.wait_for_url(addresses[1])
        settle(page)
        table.locator("[row-index='1'] [col-id=model]").click()
        page.wait_for_url(addresses[2])
        settle(page)


def test_a_displacement_chosen_and_taken_back_before_the_answer(
    browser: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = run_sql(world.run, "SELECT object_id FROM objects LIMIT 1").to_pylist()
    case = f"/cases?object={row['object_id']}&of_model=tiny&of_strategy=box&of_selection=oracle"
    held = threading.Event()
    held.set()
    shown = server.case
    monkeypatch.setattr(server, "case", lambda *given: (held.wait(30), shown(*given))[1])
    with visit(browser, world.address, case) as page:
        page.wait_for_selector("#picture[data-drawn] .main-svg", timeout=60_000)
        settle(page)
        held.clear()
        for choice, address in (("0-10 px, trial 1", "**hi=10**"), ("none, trial 0", "**hi=0**")):
            page.click("[id*=level]")
            page.click(f"[role=option]:has-text('{choice}')")
            page.wait_for_url(address)
        held.set()
        settle(page)
        assert "none, trial 0" in page.inner_text("[id*=level]")
        assert "&hi=0&" in page.url


def _asked_for_cases(page: Any) -> list[str]:
    """Grows by an address whenever a case is asked for."""
    asked: list[str] = []
    page.on(
        "request", lambda r: asked.append(r.url) if "case.children" in (r.post_data or "") else 0
    )
    return asked


def test_the_trials_of_a_displacement_one_after_another(browser: Any, world: Any) -> None:
    (row,) = run_sql(world.run, "SELECT object_id FROM objects LIMIT 1").to_pylist()
    case = f"/cases?object={row['object_id']}&of_model=tiny&of_strategy=box&of_selection=oracle"
    trials = run_sql(
        world.run,
        f"SELECT trial, prompt.box.x0 - 0.5 AS x0 FROM trials JOIN objects USING (object_key)"
        f" WHERE object_id = '{row['object_id']}' AND model = 'tiny' AND strategy = 'box'"
        " AND jitter_hi = 10 ORDER BY trial",
    ).to_pylist()
    with visit(browser, world.address, case) as page:
        page.click(".plays button:has-text('0-10 px: 2 trials')", timeout=60_000)
        page.wait_for_selector("#moving .main-svg", timeout=60_000)
        place = "document.querySelector('#moving').firstChild"
        sent = page.evaluate(f"{place}._transitionData._frames.map(f => f.data[1].x[0])")
        assert sent == [float(one["x0"]) for one in trials]
        # it moves by itself, and stops at the last
        page.wait_for_function(f"x => {place}.data[2].x[0] === x", arg=sent[-1])
        page.locator("#moving .slider-label", has_text="trial 1: Dice").first.wait_for()
        settle(page)


def test_a_displaced_trial_is_recomputed(browser: Any, world: Any) -> None:
    (row,) = run_sql(world.run, "SELECT object_id FROM objects LIMIT 1").to_pylist()
    case = f"/cases?object={row['object_id']}&of_model=tiny&of_strategy=box&of_selection=oracle"
    with visit(browser, world.address, case + "&lo=0&hi=10&trial=1") as page:
        page.wait_for_selector("#picture[data-drawn] .main-svg", timeout=60_000)
        settle(page)
        assert "0-10 px, trial 1" in page.inner_text("[id*=level]")
        assert page.locator("#case .banner").count() == 0
