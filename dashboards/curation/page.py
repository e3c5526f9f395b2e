"""Build the curation report: one HTML file, no request to anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.curation import tables
from dashboards.curation.figures import objects_by, spread_figure
from dashboards.curation.pictures import Picture, Pictures, Sheet
from dashboards.page import Drawing, html_table, render
from engine import __version__
from engine.collection.curation import CurationReport
from engine.collection.curation.duplicates import (
    LEAST_CORRELATION,
    MOST_BITS,
    RELATIONS,
    Between,
    Pair,
)
from engine.collection.curation.frame import MIN_OBJECT_PX, Frame
from engine.collection.curation.pixels import SAMPLED_SLICES
from engine.collection.curation.suspects import Rule, Suspect

_SPREADS = {
    "sizes": ("Image sizes", ("width", "height")),
    "spacings": ("Spacings", ("spacing_col", "spacing_row", "spacing_slice")),
    "intensities": ("Intensities", ("slice_lo", "slice_hi")),
    "areas": ("Objects", ("area", "area_fraction", "objects_per_slice")),
}
_TITLES = {
    "spacing_col": "column spacing", "spacing_row": "row spacing",
    "spacing_slice": "slice spacing", "slice_lo": "smallest value of a slice",
    "slice_hi": "largest value of a slice",
}  # fmt: skip
_RELATION_WORDS = {
    "other_dataset": "Across datasets",
    "other_subject": "Within a dataset, different subjects",
    "same_subject": "Same subject, different cases",
}
_LISTED = {"other_dataset": 24, "other_subject": 24, "same_subject": 6}


@dataclass(frozen=True)
class ChartItem:
    """A figure as the template prints it."""

    title: str
    drawing: Drawing


@dataclass(frozen=True)
class PairItem:
    """A pair of near duplicates with both pictures."""

    pair: Pair
    one: Picture
    other: Picture


@dataclass(frozen=True)
class Relation:
    """Near duplicates of one relation."""

    name: str
    title: str
    case_pairs: int
    slice_pairs: int
    items: tuple[PairItem, ...]


@dataclass(frozen=True)
class RuleItem:
    """A rule with the pictures of what it picked."""

    rule: Rule
    items: tuple[tuple[Suspect, Picture], ...]


@dataclass(frozen=True)
class Page:
    """The HTML and what was drawn."""

    html: str
    pictures: int


def build(report: CurationReport, frame: Frame, collection: str | os.PathLike[str]) -> Page:
    """The page of a report.

    Args:
        collection: folder or address of the collection, for the pictures.
    """
    pictures = Pictures(collection, frame)
    sheets = pictures.sheets()
    relations = list(_relations(report, pictures))
    rules = [
        RuleItem(rule, tuple((one, pictures.suspect(one)) for one in rule.listed))
        for rule in report.rules
    ]
    html = render(
        "curation/curation.html",
        warnings=warnings(report),
        styles=["curation/curation.css"],
        report=report,
        charts=_charts(report),
        tables={name: html_table(name, table) for name, table in tables.tables(report).items()},
        sheets=sheets,
        relations=relations,
        rules=rules,
        limits={"bits": MOST_BITS, "correlation": LEAST_CORRELATION, "area": MIN_OBJECT_PX,
                "sampled": SAMPLED_SLICES},
        version=__version__,
    )  # fmt: skip
    return Page(html, _number_of(sheets) + sum(2 * len(r.items) for r in relations))


def warnings(report: CurationReport) -> list[str]:
    """What a reader must look at first; empty when there is nothing."""
    found = []
    refused = sum(row.count for row in report.left_out if row.refused)
    if refused:
        found.append(f"{_count(refused, 'exclusion')} by an error to repair. See Left out.")
    if report.unreadable:
        found.append(
            f"{_count(len(report.unreadable), 'array')} cannot be read, first "
            f"{report.unreadable[0][0]}: near duplicates and suspicious labels lack their slices."
        )
    for name, words in (("other_dataset", "of different datasets"),
                        ("other_subject", "of different subjects of a dataset")):  # fmt: skip
        rows = [] if report.duplicates is None else _of(report.duplicates.between, name)
        if rows:
            pairs = sum(row.case_pairs for row in rows)
            found.append(
                f"{_count(pairs, 'pair')} of cases {words} with the same picture: subjects counted "
                "twice, and leaks between training and test. See Near duplicates."
            )
    if report.duplicates is not None and not report.duplicates.complete:
        found.append("There were too many similar slices to compare all; some pairs are missing.")
    for rule in report.rules:
        if rule.found:
            found.append(f"{rule.title}: {rule.found:,} to look at. See Suspicious labels.")
    if report.duplicates is None:
        found.append("No pixels were compared: near duplicates were not looked for.")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _of(between: Iterable[Between], relation: str) -> list[Between]:
    return [row for row in between if row.relation == relation]


def _relations(report: CurationReport, pictures: Pictures) -> Iterable[Relation]:
    if report.duplicates is None:
        return
    for name in RELATIONS:
        rows = _of(report.duplicates.between, name)
        pairs = [p for p in report.duplicates.pairs if p.relation == name][: _LISTED[name]]
        yield Relation(
            name,
            _RELATION_WORDS[name],
            sum(row.case_pairs for row in rows),
            sum(row.slice_pairs for row in rows),
            tuple(PairItem(pair, *pictures.pair(pair)) for pair in pairs),
        )


def _charts(report: CurationReport) -> Mapping[str, ChartItem]:
    counts = report.counts
    found = {}
    if counts.total.objects:
        found["datasets"] = _chart("datasets", "Objects by dataset", objects_by(counts.by_dataset))
        found["structures"] = _chart(
            "structures", "Objects by structure and modality", objects_by(counts.by_structure)
        )
    named = {item.name: item for item in report.distributions}
    for name, (title, parts) in _SPREADS.items():
        items = [named[part] for part in parts if named[part].counts]
        if items:
            titles = {part: _TITLES.get(part, part.replace("_", " ")) for part in parts}
            marks = {"area": float(MIN_OBJECT_PX)}
            found[name] = _chart(name, title, spread_figure(items, titles, marks))
    return found


def _chart(name: str, title: str, figure: go.Figure) -> ChartItem:
    return ChartItem(title, Drawing.of(name, figure))


def _number_of(sheets: Iterable[Sheet]) -> int:
    return sum(len(sheet.pictures) for sheet in sheets)
