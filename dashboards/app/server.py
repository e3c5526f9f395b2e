"""The dashboard behind an address: what is on every page, and what happens on a click."""

from __future__ import annotations

import logging
import re
import socket
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dash import (
    ALL,
    MATCH,
    ClientsideFunction,
    Dash,
    Input,
    Output,
    State,
    ctx,
    dcc,
    html,
    no_update,
)
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from dashboards.app import case_rows, console
from dashboards.app.bare import bare_app
from dashboards.app.data import RunData
from dashboards.app.masks import Masks
from dashboards.app.numbers import numbers_of
from dashboards.app.pages import PAGES, Page, compare
from dashboards.app.pages import run as run_page
from dashboards.app.pages.cases import case, played
from dashboards.app.parts import Body, calm, grid, labelled, seen_note
from dashboards.app.state import State as AppState
from dashboards.app.view import FILTERS, View
from dashboards.app.waiting import Answer, Waiting, Wsgi
from engine.errors import SamscopeError, UserError
from engine.results.query import has_database
from engine.runs import RunDir
from engine.stores import Place

log = logging.getLogger("samscope")

LOOK_EVERY_S = 10
"""How often a page asks whether there are newer results."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OUR_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)


def make_app(run_dir: Path, other: Path | None = None, collection: Place | None = None) -> Dash:
    """The dashboard of a run, as a Dash application.

    Args:
        other: a run to compare it with.
        collection: where the run's collection lies now; None: where it lay.

    Raises:
        UserError: a run has no results that this version can read.
    """
    data = RunData(run_dir)
    masks = Masks(data, collection)
    state = AppState(data, masks, RunData(other) if other is not None else None)
    app = bare_app(run_dir)
    app.layout = lambda: html.Div(calmly(lambda: [_layout(state)]))
    _in_the_browser(app)
    _pages(app, state)
    _cases(app, state)
    _newer(app, state)
    console.connect(app, state)
    run_page.connect(app, run_dir)
    for asked in (data, state.other):
        if asked is not None:
            weakref.finalize(app, asked.close)
    threading.Thread(target=_warm, args=(state,)).start()  # no daemon: DuckDB dies with those
    return app


def make_server_app(
    run_dir: Path, other: Path | None = None, collection: Place | None = None
) -> Wsgi:
    """The dashboard of a run; of one without results yet, a page that follows it until then.

    Args: as of `make_app`.

    Raises:
        UserError: this is no run directory, or its results are not for this version to read.
    """
    if has_database(run_dir):
        return make_app(run_dir, other, collection)
    RunDir.open(run_dir)
    return Waiting(run_dir, lambda: make_app(run_dir, other, collection))


def _warm(state: AppState) -> None:
    """Make every page without filters before it is asked for: the first visit counts too."""
    for page in PAGES:
        if not threading.main_thread().is_alive():
            return
        try:
            _page(state, page, View())
        except Exception:  # whoever visits the page is told
            log.debug("page %s could not be made beforehand", page.title, exc_info=True)


def serve(app: Wsgi, host: str, port: int) -> BaseWSGIServer:
    """A server that listens but does not answer yet (`serve_forever`); port 0: any free one.

    Raises:
        UserError: the address cannot be listened at.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(
            "cannot listen at this address", where=f"{host}:{port}",
            got=getattr(error, "strerror", None) or str(error),
            remedy="choose another --port, or for an address of this machine another --host",
        ) from error  # fmt: skip
    if host in _LOOPBACK:
        app = _only_by_our_name(app)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(host, port, app, threaded=True, fd=listening.detach())
    return server


def _only_by_our_name(app: Wsgi) -> Wsgi:
    """A page elsewhere that points its own name at this machine gets no answer."""
    refusal = Response("asked by another name than this machine's\n", 403)

    def answer(environ: dict[str, Any], start_response: Any) -> Answer:
        ours = _OUR_NAMES.fullmatch(environ.get("HTTP_HOST", ""))
        return (app if ours else refusal)(environ, start_response)

    return answer


def _layout(state: AppState) -> Any:
    choices = state.data.choices().values
    (run,) = state.data.rows("SELECT study, samscope_version, wall_s FROM runs")
    return html.Div([
        dcc.Location(id="url", refresh="callback-nav"),
        dcc.Store(id="place"), dcc.Store(id="pick"), dcc.Store(id="nowhere"),
        dcc.Store(id="database", data=state.data.newest.name),
        dcc.Interval(id="look", interval=1000 * LOOK_EVERY_S),
        html.Header([
            html.H1("samscope"),
            html.P([html.B(run["study"]), f" · {state.data.run_dir.resolve()}"]),
            html.Button("Light / dark", id="theme", title="Switch between light and dark"),
        ], className="top"),
        html.Nav([dcc.Link(page.title, href=page.path, id={"nav": page.path}) for page in PAGES],
                 **labelled("Pages")),
        html.Div([
            *(html.Label([name, dcc.Dropdown(
                id=f"filter-{name}", options=choices[name], multi=True, placeholder="all",
                closeOnSelect=True)]) for name in FILTERS),
            html.Button("Clear", id="clear", title="Clear all filters"),
        ], className="filters", role="search"),
        html.Div(id="newer"),
        html.Main([html.Div(id="case"), html.Div(id="page")]),
        html.Footer("Figures: Plotly and Dash (MIT). Tables: AG Grid Community (MIT). "
                    f"samscope {run['samscope_version']}."),
    ], className="shell")  # fmt: skip


def _in_the_browser(app: Dash) -> None:
    """Callbacks that ask nobody (`assets/app.js`)."""
    here = ClientsideFunction
    connect: Any = app.clientside_callback  # Dash leaves it without types
    connect(
        here("samscope", "arrive"),
        Output("place", "data"), Output("pick", "data"),
        Output({"nav": ALL}, "href"), Output({"nav": ALL}, "className"),
        Input("url", "pathname"), Input("url", "search"),
        State("place", "data"), State("pick", "data"), State({"nav": ALL}, "id"),
    )  # fmt: skip
    deaf: dict[str, Any] = {"prevent_initial_call": True}
    for function, inputs in (
        ("filter", [Input(f"filter-{name}", "value") for name in FILTERS]),
        ("clear", [Input("clear", "n_clicks")]),
        ("theme", [Input("theme", "n_clicks")]),
        ("choose", [Input({"cases": ALL}, "selectedRows")]),
        ("level", [Input({"level": ALL}, "value"), State({"level": ALL}, "id")]),
        ("contrast", [Input("contrast", "value")]),
        ("opacity", [Input("opacity", "value")]),
        ("reload", [Input("reload", "n_clicks")]),
    ):
        connect(
            here("samscope", function),
            Output("nowhere", "data", allow_duplicate=True), *inputs, **deaf,
        )  # fmt: skip


def _pages(app: Dash, state: AppState) -> None:
    """The page of an address, and the tables that are unfolded on it."""
    pages = {page.path: page for page in PAGES}

    @app.callback(Output("page", "children"), Input("place", "data"), prevent_initial_call=True)
    def show_page(place: str) -> Body:
        path, _, search = place.partition("?")
        page = pages.get(path)
        if page is None:
            return [calm(f"There is no page {path}. The pages are listed above.")]
        return calmly(lambda: _page(state, page, View.of(search)))

    @app.callback(
        Output({"folded": "numbers", "question": MATCH, "part": MATCH}, "children"),
        Input({"unfold": "numbers", "question": MATCH, "part": MATCH}, "n_clicks"),
        State({"unfold": "numbers", "question": MATCH, "part": MATCH}, "id"),
        State("place", "data"), prevent_initial_call=True,
    )  # fmt: skip
    def numbers(clicks: int | None, asked: dict[str, str], place: str | None) -> Any:
        if clicks != 1:  # folded again: the rows stay
            return no_update
        view = View.of((place or "").partition("?")[2])
        question, part = asked["question"], asked["part"]
        if question == compare.CHANGED:
            return calmly(lambda: [compare.changed(state, part, view)])
        return calmly(lambda: [
            grid(f"table-{question}-{part}", numbers_of(state, question, part, view))
        ])  # fmt: skip


def _cases(app: Dash, state: AppState) -> None:
    """The table of cases, the case that was chosen, and its trials one after another."""

    @app.callback(Output("case", "children"), Input("pick", "data"), prevent_initial_call=True)
    def show_case(search: str) -> Body:
        pick = View.of(search).pick
        return [] if pick is None else calmly(lambda: case(state, pick))

    @app.callback(
        Output("played", "children"), Input({"play": ALL}, "n_clicks"), State("pick", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def play(clicks: list[int | None], search: str) -> Any:
        pick = View.of(search).pick
        if pick is None or not any(clicks):
            return no_update
        lo, _, hi = ctx.triggered_id["play"].partition("|")
        return calmly(lambda: played(state, replace(pick, lo=int(lo), hi=int(hi))))

    @app.callback(
        Output({"cases": MATCH}, "getRowsResponse"), Input({"cases": MATCH}, "getRowsRequest"),
        State("place", "data"), prevent_initial_call=True,
    )  # fmt: skip
    def block(request: dict[str, Any] | None, place: str | None) -> Any:
        if request is None:
            return no_update
        view = View.of((place or "").partition("?")[2])
        try:
            return case_rows.case_rows(state.data, view, request)
        except Exception:  # a table without rows is better than none
            log.exception("the table of cases could not be read")
            return {"rowData": [], "rowCount": 0}


def _newer(app: Dash, state: AppState) -> None:
    """Offer newer results; what is on the screen stays as it is."""

    @app.callback(Output("newer", "children"), Input("look", "n_intervals"),
                  State("database", "data"), prevent_initial_call=True)  # fmt: skip
    def look(_: int, shown: str) -> Any:
        try:
            newest = state.data.newest.name
        except UserError:
            return no_update
        if newest == shown:
            return no_update
        words: Body = [
            "There are newer results of this run.",
            html.Button("Show them", id="reload"),
        ]
        return html.Div(words, className="banner", role="status")


def _page(state: AppState, page: Page, view: View) -> Body:
    """A page as it was made the first time: figures are drawn and written as JSON once."""
    if not page.kept:
        return page.body(state, view)
    other = state.other.newest if state.other is not None else None
    body: Body = state.data.once(
        ("page", page.path, view.search(), other),
        lambda: [*seen_note(state.data, view), *page.body(state, view)],
    )
    return body


def calmly(make: Callable[[], Body]) -> Body:
    """What `make` makes, or words about why it cannot be made."""
    try:
        return make()
    except SamscopeError as error:
        return [calm(str(error))]
    except Exception:  # a page without a figure is better than none; the log has the rest
        log.exception("a page of the dashboard failed")
        return [calm("This cannot be shown. The reason is in the terminal that runs the "
                     "dashboard; please report it.")]  # fmt: skip
