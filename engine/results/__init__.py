"""Results: committed part files, and the DuckDB file built from them that users query.

`parts.py` is the ledger workers write to; a cell (unit, model, strategy) exists only through its
manifest. `build.py` turns the committed cells of a plan into `results-<n>.duckdb` and switches
`results.duckdb` to it; the views it installs lie in `sql/`. `query.py` and `export.py` read it.
The room's names are imported from its modules, so that a worker loads no database.
"""
