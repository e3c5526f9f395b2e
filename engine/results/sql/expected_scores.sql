-- expected_scores: how many scores the study asks for, per model, strategy, level and selection:
-- the N of every "n scored / N expected". Also gives the study's order of models and strategies.
-- Source: protocol sections 3 and 6.
CREATE VIEW expected_scores AS
SELECT
    e.model, m.position AS model_position, e.strategy, s.position AS strategy_position,
    e.jitter_lo, e.jitter_hi, unnest(s.selections) AS selection,
    e.trials_per_object, e.expected
FROM expected e
JOIN models m USING (model)
JOIN strategies s USING (strategy);
