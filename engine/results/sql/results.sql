-- results: one row per trial step x selection; undefined distances are NULL.
-- Key: (object_id, model, strategy, jitter_lo, jitter_hi, trial, step, selection).
-- Source: design "DuckDB", protocol section 4.
CREATE VIEW results AS
SELECT * EXCLUDE (height, width, spacing_row_mm, spacing_col_mm) FROM results_with_geometry;
