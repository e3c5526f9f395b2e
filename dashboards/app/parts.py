"""Pieces that pages are made of: figures, tables, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import plotly.graph_objects as go
import pyarrow as pa
from dash import html

from dashboards.app.data import RunData
from dashboards.app.view import View
from dashboards.figures import draw, spec_of
from dashboards.figures.rows import SEEN_MARK, unique
from dashboards.figures.theme import MOST_MARKS

MOST_ROWS = 2_000
"""Rows of a table that is not read page by page."""

MOST_CELLS = 100
"""Models with their strategies in one figure; more can neither be drawn soon nor told apart."""
_FEW_ROWS = 16  # are seen at once: nobody filters them

Body = list[Any]


def figure(
    name: str, data: RunData, view: View, *, drill: bool = False, each: str | None = None
) -> Body:
    """Heading, caption, figure and numbers of one figure; words where nothing is left to draw.

    Args:
        each: a column; its values get a figure each, so that what is out of view is not drawn.
    """
    spec = spec_of(name)
    shown = data.one_selection(view) if spec.one_selection and view.objects else view
    answer = data.answer(spec.question, shown)
    head = [html.H2(spec.title), html.P(code(spec.caption), className="caption")]
    if not answer.num_rows:
        return [*head, nothing_left()]
    if _cells(answer) > MOST_CELLS:
        return [*head, _too_much("models and strategies"), numbers(spec.question)]
    found = [
        one
        for at, part in enumerate(_parts(answer, each))
        for one in drawn(f"{name}-{at}", draw(name, part), drill=drill)
    ]
    return [*head, *found, numbers(spec.question)]


def _cells(answer: pa.Table) -> int:
    names = [name for name in ("model", "strategy") if name in answer.column_names]
    return answer.group_by(names).aggregate([]).num_rows if names else 0


def _too_much(what: str) -> Any:
    return calm(f"These are more {what} than one figure can show. Choose fewer by the filters "
                "above; the table below holds the numbers.")  # fmt: skip


def _parts(answer: pa.Table, column: str | None) -> list[pa.Table]:
    if column is None:
        return [answer]
    values = answer[column].to_pylist()
    return [answer.filter(pa.array([value == one for value in values])) for one in unique(values)]


def drawn(name: str, made: go.Figure, *, drill: bool = False) -> Body:
    """A figure and its note; clicking a mark of one that drills leads to its cases."""
    if marks(made) > MOST_MARKS:
        return [_too_much("marks")]
    note = (made.layout.meta or {}).get("note")
    graph = place(f"figure-{name}", made, drill=drill)
    return [graph, html.P(note, className="note")] if note else [graph]


def place(name: str, made: go.Figure, *, drill: bool = False) -> Any:
    """Where a figure is drawn once it comes into view (`assets/figures.js`)."""
    more: Any = {"data-figure": made.to_json(validate=False)}
    if drill:
        more["data-drill"] = "yes"
    return html.Div(
        id=name, className="figure drill" if drill else "figure",
        style={"height": f"{made.layout.height}px"}, **more,
    )  # fmt: skip


def marks(made: go.Figure) -> int:
    """How many marks a figure has."""
    total = 0
    for trace in made.data:
        values = trace.z if getattr(trace, "z", None) is not None else getattr(trace, "x", None)
        total += sum(len(line) if hasattr(line, "__len__") else 1 for line in values or ())
    return total


def numbers(question: str, part: str = "") -> html.Details:
    """The table behind a figure, folded away; its rows come when it is unfolded."""
    where = {"question": question, "part": part}
    return html.Details([
        html.Summary("Numbers", id={"unfold": "numbers", **where}),
        html.Div(id={"folded": "numbers", **where}),
    ])  # fmt: skip


def table(question: str, rows: int, part: str = "") -> Any:
    """A table of a page itself: room for it, and its rows once it comes into view."""
    where = {"question": question, "part": part}
    return html.Div(
        [
            html.Button(id={"unfold": "numbers", **where}, hidden=True),
            html.Div(id={"folded": "numbers", **where}),
        ],
        style={"minHeight": f"{_fit_px(rows)}px"}, **_LATE,
    )  # fmt: skip


_LATE: Any = {"data-late": "yes"}


def _fit_px(rows: int) -> int:
    return 52 + 30 * min(max(rows, 2), 14)


def grid(name: str, answer: pa.Table, *, height: int | None = None) -> Any:
    """A table that can be sorted and filtered."""
    answer = answer.rename_columns(_distinct(answer.column_names))
    shown = answer.slice(0, MOST_ROWS)
    made = dag.AgGrid(
        id={"table": name},
        rowData=[{k: _plain(v) for k, v in row.items()} for row in shown.to_pylist()],
        columnDefs=[column(field.name, field.type) for field in answer.schema],
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "minWidth": 60,
            "suppressHeaderFilterButton": answer.num_rows < _FEW_ROWS,
        },
        columnSize="autoSize",
        dashGridOptions=grid_options(),
        style={"height": f"{height or _fit_px(answer.num_rows)}px"},
    )
    if answer.num_rows > MOST_ROWS:
        return html.Div([made, html.P(f"the first {MOST_ROWS:,} of {answer.num_rows:,} rows",
                                       className="note")])  # fmt: skip
    return made


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of columns; where two are the same, the later one is numbered."""
    found: list[str] = []
    for name in names:
        number = 2
        unique = name
        while unique in found:
            unique, number = f"{name} ({number})", number + 1
        found.append(unique)
    return found


def grid_options(**more: Any) -> dict[str, Any]:
    """What all tables share."""
    return {"theme": "themeQuartz", "rowHeight": 30, "headerHeight": 34, "animateRows": False,
            "enableCellTextSelection": True, "suppressFieldDotNotation": True, **more}  # fmt: skip


def column(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A column of a table; fractions to three places."""
    found: dict[str, Any] = {"field": name, "headerName": name.replace("_", " "),
                             "headerTooltip": name}  # fmt: skip
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        found |= {"type": "rightAligned", "filter": "agNumberColumnFilter"}
    if pa.types.is_floating(kind):
        found["valueFormatter"] = {
            "function": "params.value == null ? '–' : d3.format('.3f')(params.value)"
        }
    return found


def labelled(text: str) -> dict[str, Any]:
    """What a screen reader calls a region."""
    return {"aria-label": text}


def calm(text: str) -> Any:
    """Words about something that cannot be shown."""
    return html.Div(text, className="banner", role="status")


def nothing_left() -> Any:
    """Words for filters that let nothing through."""
    return calm("Nothing matches these filters. Clear one of them above.")


def seen_note(data: RunData, view: View) -> Body:
    """What `SEEN_MARK` means, where it stands."""
    return [
        calm(
            f"{model}{SEEN_MARK}: {seen:,} of the {shown:,} subjects shown were in its training "
            "data. Its scores on them are optimistic."
        )
        for model, (seen, shown) in data.seen(view).items()
        if view.keeps({"model": model})
    ]


def tiles(values: Mapping[str, str]) -> Any:
    """Large numbers with small words."""
    return html.Ul([html.Li([html.B(v), html.Span(k)]) for k, v in values.items()],
                   className="tiles")  # fmt: skip


def code(text: str) -> Body:
    """Text in which what stands between backquotes is code."""
    return [html.Code(part) if at % 2 else part for at, part in enumerate(text.split("`"))]


def _plain(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
