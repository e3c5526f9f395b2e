"""Build `RUN/report.html`: one file, no request to anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import duckdb
import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dashboards.figures import FIGURES, FigureSpec, draw
from dashboards.gallery import GalleryItem
from dashboards.report import facts as facts_page
from dashboards.report import plotly_bundle
from dashboards.report.tables import HtmlTable, html_table
from engine.analysis import run
from engine.files import replace_file
from engine.results.query import connect

_TABLES = ("distances", "coverage", "failures", "exclusions", "population", "cost")


@dataclass(frozen=True)
class PageFigure:
    """A figure as the template prints it; `note` is what the figure itself adds."""

    spec: FigureSpec
    json: Markup
    height: int
    note: str
    table: HtmlTable


@dataclass(frozen=True)
class PagePicture:
    """A gallery picture as the template prints it."""

    title: str
    caption: str
    uri: str


def build_report(run_dir: Path, gallery: Sequence[GalleryItem] = ()) -> Path:
    """Write `run_dir/report.html` from the newest results; returns its path.

    Args:
        gallery: pictures to show, in this order.

    Raises:
        UserError: the run has no results yet.
    """
    with connect(run_dir) as connection:
        html = render(connection, gallery)
    target = run_dir / "report.html"
    replace_file(target, html.encode())
    return target


def render(connection: duckdb.DuckDBPyConnection, gallery: Sequence[GalleryItem]) -> str:
    """The report's HTML."""
    facts = facts_page.gather(connection)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters |= {"duration": facts_page.duration, "moment": facts_page.moment}
    return environment.from_string(_resource("report.html")).render(
        css=Markup(_resource("report.css")),
        script=Markup(_resource("script.html")),
        plotly_packed=plotly_bundle.packed(),
        plotly_version=plotly_bundle.version(),
        facts=facts,
        warnings=facts_page.warnings(facts),
        methods=facts_page.methods(facts),
        figures={spec.name: _figure(connection, spec) for spec in FIGURES},
        tables={name: html_table(name, run(connection, name)) for name in _TABLES},
        pictures=[_picture(item) for item in gallery],
        built=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _figure(connection: duckdb.DuckDBPyConnection, spec: FigureSpec) -> PageFigure:
    answer = run(connection, spec.question)
    figure = draw(spec.name, answer)
    return PageFigure(
        spec=spec,
        json=figure_json(figure),
        height=int(figure.layout.height),
        note=figure.layout.meta["note"],
        table=html_table(spec.name, answer),
    )


def figure_json(figure: go.Figure) -> Markup:
    """The figure's JSON, safe inside a script element."""
    text = figure.to_json().replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Markup(text)


def _picture(item: GalleryItem) -> PagePicture:
    uri = "data:image/png;base64," + base64.b64encode(item.data()).decode()
    return PagePicture(item.title, item.caption, uri)


def _resource(name: str) -> str:
    return (files("dashboards.report") / name).read_text(encoding="utf-8")
