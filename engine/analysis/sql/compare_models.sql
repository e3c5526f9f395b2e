-- Question: how much better or worse is each model than the study's first, on the same trials?
-- Gain = Dice of `model` minus Dice of `baseline`, object by object; level (0,0), trial 0.
-- One row per model, strategy and selection after the moments below are summed up; a study with
-- one model has none. Fine-tuning: baseline is the model before, model the one after.
-- Moments: one row per subject, structure and modality; total = sum of gains, -1..1.
-- Source: protocol section 7 (gain on held-out subjects).
WITH dices AS (
    SELECT model, strategy, selection, object_id, step, subject_id, structure, modality, dice
    FROM final_results
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0 AND dice IS NOT NULL
),
base AS (
    SELECT d.* FROM dices d JOIN models m USING (model) WHERE m.position = 0
),
gains AS (
    SELECT
        b.model AS baseline, d.model, d.strategy, d.selection, d.subject_id, d.structure,
        d.modality, count(*) AS n, sum(d.dice - b.dice) AS total
    FROM dices d
    JOIN base b USING (strategy, selection, object_id)
    WHERE d.model <> b.model
    GROUP BY ALL
)
SELECT
    f.baseline, e.model, e.strategy, e.selection, e.expected, g.subject_id,
    g.structure, g.modality, g.n, g.total
FROM expected_scores e
CROSS JOIN (SELECT model AS baseline FROM models WHERE position = 0) f
LEFT JOIN gains g USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0 AND e.model <> f.baseline
ORDER BY
    e.model_position, e.strategy_position, e.selection,
    g.subject_id, g.structure, g.modality
