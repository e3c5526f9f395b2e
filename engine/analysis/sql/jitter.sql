-- Question: how does Dice fall when the prompt is displaced?
-- One row per model, strategy, selection and level; every trial of a level counts. Drop = Dice at
-- the level minus Dice of the same object at (0,0), so it is negative where displacement hurts;
-- objects without a score at (0,0) have no drop. Levels are in pixels of the original grid.
-- Moments: one row per subject, structure and modality; total = sum of Dice, 0..1; drop_n and
-- drop_total are those of the drop.
-- Source: protocol section 2 "Randomness"; the paper's drops: protocol section 8.
-- Empty: the study has only strategies of kind `everything`, which is not displaced.
WITH scored AS (
    SELECT
        model, strategy, selection, jitter_lo, jitter_hi, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total,
        sum(drop_n)::BIGINT AS drop_n, sum(drop_dice)::DOUBLE AS drop_total
    FROM final_moments
    WHERE n > 0
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
