"""SQL: one statement, asked in a sealed process; what the database holds beside it."""

from __future__ import annotations

from dash import dcc, html

from dashboards.app.parts import Body
from dashboards.app.state import State
from dashboards.app.view import View

EXAMPLE = """SELECT structure, strategy, selection, avg(dice) AS dice, count(dice) AS n
FROM results
WHERE jitter_hi = 0
GROUP BY ALL
ORDER BY dice"""

_SCHEMA = """
    SELECT if(schema_name = 'main', '', schema_name || '.') || table_name AS table_name,
        column_name, data_type
    FROM duckdb_columns()
    WHERE schema_name IN ('main', 'answers') AND database_name = current_database() AND NOT internal
    ORDER BY schema_name <> 'main', duckdb_columns.table_name <> 'results',
        duckdb_columns.table_name, column_index"""


_INNER = ("moments", "paired_moments", "spreads", "tallies", "undisplaced")
"""Tables of sums, which people rarely ask themselves."""


def _tables(state: State) -> Body:
    """Tables and their columns, to be unfolded; what questions are answered from comes last."""
    tables: dict[str, list[str]] = {}
    for row in state.data.rows(_SCHEMA):
        kind = str(row["data_type"])
        kind = kind if len(kind) <= 40 else kind[:38] + "…"
        tables.setdefault(row["table_name"], []).append(f"{row['column_name']} {kind}")
    shown: Body = []
    inner: Body = [html.Summary("Sums and kept answers, from which questions are answered")]
    for name, words in tables.items():
        one = html.Details([html.Summary(html.Code(name)), html.P(html.Code(", ".join(words)))])
        (inner if name in _INNER or "." in name else shown).append(one)
    return [*shown, html.Details(inner)]


def body(state: State, view: View) -> Body:
    """The console and the schema."""
    console = html.Div([
        html.Label(["statement", dcc.Textarea(id="sql-text", value=EXAMPLE, className="sql",
                                              spellCheck=False)]),
        html.P([
            html.Button("Run", id="sql-run", className="main"), " ",
            html.Button("Download CSV", id="sql-csv"),
            dcc.Download(id="sql-file"),
        ]),
        dcc.Loading(html.Div(id="sql-answer", role="status")),
    ])  # fmt: skip
    return [
        html.H2("SQL"),
        html.P("One statement at a time. It can read this run's database and nothing else, for "
               "10 seconds and 1 GiB. The filters above do not apply here.", className="caption"),
        html.Div([
            console,
            html.Div([html.H3("Tables and views"), *_tables(state)], className="schema"),
        ], className="two"),
    ]  # fmt: skip
