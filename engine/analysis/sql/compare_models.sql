-- Question: how much better or worse is each model than the study's first, on the same trials?
-- Gain = Dice of `model` minus Dice of `baseline`, object by object; level (0,0), trial 0. One row
-- per model, strategy and selection; a study with one model has none. The paper's Fig. 6; every two
-- models by structure: `paired`.
-- Moments: one row per subject, structure and modality; total = sum of gains, -1..1.
-- Source: protocol sections 3 and 6.
-- Empty: the study has one model; a comparison needs two that share a strategy.
WITH first AS (SELECT model AS baseline FROM models WHERE position = 0),
gains AS (
    SELECT
        model, strategy, selection, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(gain)::DOUBLE AS total
    FROM paired_moments SEMI JOIN first USING (baseline)
    GROUP BY ALL
)
SELECT
    f.baseline, e.model, e.strategy, e.selection, e.expected, g.subject_id,
    g.structure, g.modality, g.n, g.total
FROM expected_scores e
CROSS JOIN first f
LEFT JOIN gains g USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0 AND e.model <> f.baseline
ORDER BY
    e.model_position, e.strategy_position, e.selection,
    g.subject_id, g.structure, g.modality
