-- Question: how much Dice is lost because the model has to choose its mask itself?
-- Gap = Dice of `oracle` minus Dice of `predicted_iou`, per object; level (0,0), trial 0. One row
-- per model and strategy.
-- Moments: one row per subject, structure and modality; total = sum of gaps, 0..1.
-- Source: protocol section 3.
WITH scored AS (
    SELECT
        model, strategy, subject_id, structure, modality,
        sum(gap_n)::BIGINT AS n, sum(gap_dice)::DOUBLE AS total
    FROM final_moments
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND gap_n > 0
    GROUP BY ALL
)
SELECT e.model, e.strategy, e.expected, s.subject_id, s.structure, s.modality, s.n, s.total
FROM expected_scores e
LEFT JOIN scored s USING (model, strategy)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0 AND e.selection = 'oracle'
ORDER BY e.model_position, e.strategy_position, s.subject_id, s.structure, s.modality
