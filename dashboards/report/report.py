"""Build `RUN/report.html`: one file, no request to anywhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from PIL import Image

from dashboards.figures import FIGURES, FigureSpec, draw
from dashboards.gallery import GalleryItem
from dashboards.page import Drawing, HtmlTable, data_uri, html_table, render
from dashboards.report import facts as facts_page
from engine.analysis import run
from engine.files import replace_file
from engine.results.query import connect

_TABLES = ("distances", "coverage", "failures", "exclusions", "population", "cost")


@dataclass(frozen=True)
class PageFigure:
    """A figure as the template prints it."""

    spec: FigureSpec
    drawing: Drawing
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
        html = _html(connection, gallery)
    target = run_dir / "report.html"
    replace_file(target, html.encode())
    return target


def _html(connection: duckdb.DuckDBPyConnection, gallery: Sequence[GalleryItem]) -> str:
    facts = facts_page.gather(connection)
    return render(
        "report/report.html",
        warnings=facts_page.warnings(facts),
        facts=facts,
        methods=run(connection, "methods")["text"].to_pylist(),
        figures={spec.name: _figure(connection, spec) for spec in FIGURES},
        tables={name: html_table(name, run(connection, name)) for name in _TABLES},
        pictures=[_picture(item) for item in gallery],
    )


def _figure(connection: duckdb.DuckDBPyConnection, spec: FigureSpec) -> PageFigure:
    answer = run(connection, spec.question)
    made = draw(spec.name, answer)
    for trace in made.data:  # marks that lead to the dashboard's cases lead nowhere in a file
        if "customdata" not in (trace.hovertemplate or ""):
            trace.update(customdata=None)
    return PageFigure(spec, Drawing.of(spec.name, made), html_table(spec.name, answer))


def _picture(item: GalleryItem) -> PagePicture:
    return PagePicture(item.title, item.caption, data_uri("image/webp", _smaller(item.data())))


def _smaller(png: bytes) -> bytes:
    """The same pixels in two thirds of the bytes."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(stream, "WEBP", lossless=True)
    return stream.getvalue()
