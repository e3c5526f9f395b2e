-- Question: how does Dice fall when the prompt is displaced?
-- One row per model, strategy, selection and level after the moments below are summed up; every
-- trial of a level counts. Drop = Dice at the level minus Dice of the same object at (0,0), so it
-- is negative where displacement hurts; objects without a score at (0,0) have no drop.
-- Moments: one row per subject, structure and modality; total = sum of Dice, 0..1; drop_n and
-- drop_total are those of the drop. Levels are in pixels of the original grid.
-- Source: protocol section 2 "Randomness"; the paper's drops: protocol section 8.
WITH reference AS (
    SELECT object_id, model, strategy, selection, step, dice
    FROM final_results
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0 AND dice IS NOT NULL
),
scored AS (
    SELECT
        r.model, r.strategy, r.selection, r.jitter_lo, r.jitter_hi,
        r.subject_id, r.structure, r.modality,
        count(r.dice) AS n, sum(r.dice) AS total,
        count(z.dice) AS drop_n, sum(r.dice - z.dice) AS drop_total
    FROM final_results r
    LEFT JOIN reference z USING (object_id, model, strategy, selection, step)
    WHERE r.dice IS NOT NULL
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, e.jitter_lo, e.jitter_hi, e.expected,
    s.subject_id, s.structure, s.modality, s.n, s.total, s.drop_n, s.drop_total
FROM expected_scores e
JOIN strategies k USING (strategy)
LEFT JOIN scored s USING (model, strategy, selection, jitter_lo, jitter_hi)
WHERE k.kind <> 'everything'
ORDER BY
    e.model_position, e.strategy_position, e.selection, e.jitter_lo, e.jitter_hi,
    s.subject_id, s.structure, s.modality
