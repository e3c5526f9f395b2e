"""Rows of the table of cases, a block at a time, as the grid asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from dashboards.app.data import RunData
from dashboards.app.view import FILTERS, View

MOST_BLOCK = 200
LAST_ROW = 10**12

COLUMNS: dict[str, pa.DataType] = {
    "dice": pa.float64(), "structure": pa.string(), "modality": pa.string(),
    "dataset": pa.string(), "model": pa.string(), "strategy": pa.string(),
    "selection": pa.string(), "status": pa.string(), "hd95_px": pa.float64(),
    "nsd": pa.float64(), "gt_px": pa.int32(), "pred_px": pa.int32(),
    "seen_in_training": pa.bool_(), "object_id": pa.string(),
}  # fmt: skip
"""Of the table, in its order, and their types."""

_TEXT = {
    "contains": "contains(lower({c}), lower(?))",
    "notContains": "NOT contains(lower({c}), lower(?))",
    "equals": "lower({c}) = lower(?)",
    "notEqual": "lower({c}) <> lower(?)",
    "startsWith": "starts_with(lower({c}), lower(?))",
    "endsWith": "suffix(lower({c}), lower(?))",
    "true": "{c} = 'true'",
    "false": "{c} = 'false'",
}
_NUMBER = {
    "equals": "{c} = ?", "notEqual": "{c} <> ?", "lessThan": "{c} < ?",
    "lessThanOrEqual": "{c} <= ?", "greaterThan": "{c} > ?", "greaterThanOrEqual": "{c} >= ?",
    "inRange": "{c} BETWEEN ? AND ?",
}  # fmt: skip


def case_rows(data: RunData, view: View, request: Mapping[str, Any]) -> dict[str, Any]:
    """`{rowData, rowCount}` for a block that the grid asks for; what it cannot read it ignores."""
    where, params = _where(view, request.get("filterModel") or {})
    start = _place(request.get("startRow"))
    size = min(max(_place(request.get("endRow")) - start, 1), MOST_BLOCK)
    columns = ", ".join(COLUMNS)
    rows = data.rows(
        f"SELECT {columns} FROM final_undisplaced WHERE {where} ORDER BY {_order(request)} "
        f"LIMIT {size} OFFSET {start}",
        params,
    )
    (count,) = data.rows(f"SELECT count(*) AS n FROM final_undisplaced WHERE {where}", params)
    return {"rowData": rows, "rowCount": count["n"]}


def _where(view: View, model: Mapping[str, Any]) -> tuple[str, list[Any]]:
    parts: list[str] = ["true"]
    params: list[Any] = []
    for name in FILTERS:
        if view.values(name):
            parts.append(f"{name} IN ({', '.join('?' * len(view.values(name)))})")
            params += view.values(name)
    for name, asked in model.items():
        if name in COLUMNS and isinstance(asked, Mapping):
            text, values = _condition(name, asked)
            parts.append(text)
            params += values
    return " AND ".join(parts), params


def _condition(name: str, asked: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """One column's filter; two conditions are joined as the grid says."""
    if asked.get("conditions"):
        found = [_condition(name, one) for one in asked["conditions"]]
        word = " OR " if asked.get("operator") == "OR" else " AND "
        return f"({word.join(t for t, _ in found)})", [v for _, vs in found for v in vs]
    kind = str(asked.get("type"))
    if kind in ("blank", "notBlank"):
        return f"{name} IS {'NOT ' if kind == 'notBlank' else ''}NULL", []
    number = not pa.types.is_string(COLUMNS[name]) and not pa.types.is_boolean(COLUMNS[name])
    shape = (_NUMBER if number else _TEXT).get(kind)
    if shape is None:
        return "true", []
    given = [asked.get("filter"), asked.get("filterTo")][: shape.count("?")]
    try:
        values = [float(v or 0) if number else str(v)[:500] for v in given]
    except (TypeError, ValueError):
        return "true", []
    return shape.format(c=name if number else f"{name}::VARCHAR"), values


def _place(given: Any) -> int:
    """A row's number; 0 for what is none."""
    return min(max(given, 0), LAST_ROW) if isinstance(given, int) else 0


def _order(request: Mapping[str, Any]) -> str:
    keys = [
        f"{one['colId']} {'DESC' if one.get('sort') == 'desc' else 'ASC'} NULLS LAST"
        for one in request.get("sortModel") or []
        if isinstance(one, Mapping) and one.get("colId") in COLUMNS
    ]
    return ", ".join([*keys, "object_id", "model", "strategy", "selection"])
