"""Cases: a table of objects, worst first, and one trial with its masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
import pyarrow as pa
from dash import dcc, html

from dashboards.app.case_rows import COLUMNS
from dashboards.app.masks import said
from dashboards.app.parts import Body, calm, column, grid, grid_options, place
from dashboards.app.state import State
from dashboards.app.view import Pick, View
from dashboards.figures import trial_frames
from dashboards.figures.mask_picture import CHOSEN, OTHERS, TRUTH, Layer
from dashboards.figures.mask_picture import figure as picture
from dashboards.figures.trial_frames import MOST_FRAMES

_SHORT = ("model", "strategy", "structure", "modality", "dataset", "dice", "object_id")
_LEVELS = """
    SELECT DISTINCT jitter_lo, jitter_hi, trial, step
    FROM trials JOIN objects USING (object_key)
    WHERE object_id = ? AND model = ? AND strategy = ? ORDER BY ALL"""
_SPACING = """
    SELECT spacing_row_mm, spacing_col_mm FROM objects JOIN slices USING (slice_id)
    WHERE object_id = ?"""


def body(state: State, view: View) -> Body:
    """The table; the trial stands above it (`case`)."""
    return [
        html.H2("Cases"),
        html.P("Undisplaced prompts, one row per object, model, strategy and selection, worst "
               "Dice first. Choose a row (click, or arrow keys and space) to see its masks. "
               "Headings sort; the fields below them narrow further.", className="caption"),
        dag.AgGrid(
            id={"cases": "all"},
            rowModelType="infinite",
            columnDefs=[_column(name, kind) for name, kind in COLUMNS.items()],
            defaultColDef={"sortable": True, "filter": True, "floatingFilter": True,
                           "suppressFloatingFilterButton": True,
                           "suppressHeaderFilterButton": True, "resizable": True},
            dashGridOptions=grid_options(rowSelection=_ONE, cacheBlockSize=100,
                                         maxBlocksInCache=20, rowBuffer=0),
            style={"height": "560px"},
        ),
    ]  # fmt: skip


def case_table(name: str, rows: Sequence[dict[str, Any]], columns: Sequence[str] = _SHORT) -> Any:
    """A short table whose rows lead to their case; every row has the four names of one."""
    kinds = {n: pa.float64() if n.startswith(("dice", "gain")) else pa.string() for n in columns}
    table = pa.Table.from_pylist(
        [{n: row.get(n) for n in columns} for row in rows],
        schema=pa.schema(list(kinds.items())),
    )  # fmt: skip
    found = grid(f"cases-{name}", table)
    keep = ("model", "strategy", "selection", "object_id")
    found.id = {"cases": name}
    found.rowData = [
        shown | {n: row[n] for n in keep} for shown, row in zip(found.rowData, rows, strict=False)
    ]
    found.dashGridOptions = grid_options(rowSelection=_ONE)
    return found


_ONE = {"mode": "singleRow", "enableClickSelection": True, "checkboxes": False}


def _column(name: str, kind: pa.DataType) -> dict[str, Any]:
    found = column(name, kind) | {"width": _WIDTHS_PX[name]}
    return found | {"sort": "asc"} if name == "dice" else found


_WIDTHS_PX = {
    "dice": 72, "structure": 148, "modality": 126, "dataset": 160, "model": 76, "strategy": 112,
    "selection": 108, "status": 130, "hd95_px": 76, "nsd": 64, "gt_px": 66, "pred_px": 76,
    "seen_in_training": 128, "object_id": 420,
}  # fmt: skip
"""Up to pred_px they fill a window of 1280 px; what follows is scrolled to."""


def case(state: State, pick: Pick) -> Body:
    """One trial: image, truth, prompt, candidates, scores."""
    shown = state.masks.show(pick)
    if shown is None:
        return [calm(f"This run has no trial of {pick.model}, {pick.strategy} on {pick.object_id} "
                     f"at {pick.lo}-{pick.hi} px, trial {pick.trial}.")]  # fmt: skip
    trial = shown.trial
    picked = {one["selection"]: one for one in trial["selections"]}
    chosen = picked.get(pick.selection)
    at = None if chosen is None else chosen["candidate"]
    layers, filled = _layers(shown.masks, shown.candidates, at)
    left: Body = []
    if shown.problem:
        left.append(calm(f"The masks cannot be shown: {shown.problem}"))
    if shown.image is not None and shown.truth is not None:
        aspect = (trial["spacing_row_mm"] or 1) / (trial["spacing_col_mm"] or 1)
        drawing = picture(shown.image, [*layers, Layer("truth", shown.truth, TRUTH)], shown.prompt,
                          filled=filled, pixel_aspect=aspect)  # fmt: skip
        left += [
            place("picture", drawing),
            _controls(),
            *_plays(state, pick),
            html.Div(id="played"),
        ]  # fmt: skip
    return [
        html.H2(f"{trial['structure']} in {trial['modality']}: {pick.model}, {pick.strategy}"),
        html.P([html.Code(pick.object_id), f" · {trial['dataset']} · {trial['subject_id']}"],
               className="caption"),
        html.Div([html.Div(left), html.Div(_words(state, pick, trial, shown.candidates, picked))],
                 className="two"),
    ]  # fmt: skip


def _layers(
    masks: dict[int, Any], candidates: Sequence[Any], at: int | None
) -> tuple[list[Layer], Layer | None]:
    layers, filled, others = [], None, iter(OTHERS)
    for row in candidates:
        number = row["candidate"]
        if number not in masks:
            continue
        hue = CHOSEN if number == at else next(others, OTHERS[-1])
        layer = Layer(
            f"candidate {number}, Dice {row['dice']:.3f}", masks[number], hue, number == at
        )
        layers.append(layer)
        filled = layer if number == at else filled
    return layers, filled


def _controls() -> Any:
    return html.Div([
        html.Label(["grey values shown as black to white",
                    dcc.RangeSlider(id="contrast", min=0, max=255, step=1, value=[0, 255],
                                    marks=None, allowCross=False)]),
        html.Label(["opacity of the filled mask, %",
                    dcc.Slider(id="opacity", min=0, max=100, step=5, value=35, marks=None)]),
    ], className="controls")  # fmt: skip


def _plays(state: State, pick: Pick) -> Body:
    """A button for each displacement that has several trials."""
    rows = state.data.rows(_LEVELS, [pick.object_id, pick.model, pick.strategy])
    levels = Counter((row["jitter_lo"], row["jitter_hi"]) for row in rows if not row["step"])
    buttons = [
        html.Button(f"{lo}-{hi} px: {min(n, MOST_FRAMES)} trials", id={"play": f"{lo}|{hi}"})
        for (lo, hi), n in levels.items() if n > 1
    ]  # fmt: skip
    if not buttons:
        return []
    return [html.P(["One after another: ", *buttons], className="note plays")]


def played(state: State, pick: Pick) -> Body:
    """The trials of one level, moving; words where they cannot be computed again."""
    try:
        image, truth, frames = state.masks.frames(pick, MOST_FRAMES)
    except Exception as error:  # noqa: BLE001  as for a single trial: the rest of the case stays
        return [calm(f"These trials cannot be computed again: {said(error)}")]
    (row,) = state.data.rows(_SPACING, [pick.object_id])
    aspect = (row["spacing_row_mm"] or 1) / (row["spacing_col_mm"] or 1)
    words = (f"{pick.strategy} displaced by {pick.lo}-{pick.hi} px: the mask that {pick.selection} "
             "picked, trial by trial.")  # fmt: skip
    return [html.P(words, className="note"),
            place("moving", trial_frames.figure(image, truth, frames, aspect))]  # fmt: skip


def _words(
    state: State, pick: Pick, trial: Any, candidates: Sequence[Any], picked: dict[str, Any]
) -> Body:
    """Scores of the selections and of the candidates, and the object's other trials."""
    levels = state.data.rows(_LEVELS, [pick.object_id, pick.model, pick.strategy])
    by: dict[int, list[str]] = {}
    for name, one in picked.items():
        if one["candidate"] is not None:
            by.setdefault(one["candidate"], []).append(name)
    selections = pa.Table.from_pylist([
        {"selection": name, "status": one["status"], "candidate": one["candidate"],
         "dice": None if one["tp"] is None else 2 * one["tp"] / (one["pred_px"] + trial["gt_px"]),
         "hausdorff_px": one["hausdorff_px"], "hd95_px": one["hd95_px"], "nsd": one["nsd"],
         "pred_px": one["pred_px"]}
        for name, one in picked.items()
    ])  # fmt: skip
    shown = pa.Table.from_pylist(
        [{"candidate": row["candidate"], "predicted_iou": row["predicted_iou"],
          "dice": row["dice"], "pred_px": row["pred_px"],
          "picked_by": ", ".join(by.get(row["candidate"], []))} for row in candidates],
        schema=pa.schema([("candidate", pa.int64()), ("predicted_iou", pa.float64()),
                          ("dice", pa.float64()), ("pred_px", pa.int64()),
                          ("picked_by", pa.string())]),
    )  # fmt: skip
    notes = ", ".join(trial["notes"] or ())
    here = f"{pick.lo}|{pick.hi}|{pick.trial}|{trial['step']}"
    return [
        html.Label(["prompt displaced by, trial, step", dcc.Dropdown(
            id={"level": here}, clearable=False, searchable=False,
            options=[{"label": _level(row), "value": _key(row)} for row in levels],
            value=here,
        )]),
        html.H3("Selections"),
        html.P(f"The object has {trial['gt_px']:,} px. {_filled(pick, picked)}"
               + (f" Notes: {notes}." if notes else ""), className="note"),
        grid("selections", selections),
        html.H3("Candidates"),
        html.P("Click their names below the picture to show or hide them.", className="note"),
        grid("candidates", shown),
    ]  # fmt: skip


def _filled(pick: Pick, picked: dict[str, Any]) -> str:
    """What the picture shows of the prediction; an empty one is no fault of the picture."""
    one = picked.get(pick.selection)
    if one is not None and one["status"] == "empty_prediction":
        return f"Nothing is filled: the prediction of {pick.selection} is empty."
    return f"Filled: the mask {pick.selection} picked."


def _level(row: Any) -> str:
    moved = "none" if row["jitter_hi"] == 0 else f"{row['jitter_lo']}-{row['jitter_hi']} px"
    return f"{moved}, trial {row['trial']}" + (f", step {row['step']}" if row["step"] else "")


def _key(row: Any) -> str:
    return f"{row['jitter_lo']}|{row['jitter_hi']}|{row['trial']}|{row['step']}"
