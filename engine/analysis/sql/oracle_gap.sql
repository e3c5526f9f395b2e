-- Question: how much Dice is lost because the model has to choose its mask itself?
-- Gap = Dice of `oracle` minus Dice of `predicted_iou`, per object; level (0,0), trial 0.
-- One row per model and strategy after the moments below are summed up.
-- Moments: one row per subject, structure and modality; total = sum of gaps, 0..1.
-- Source: protocol section 3.
WITH pairs AS (
    SELECT
        model, strategy, object_id, step, subject_id, structure, modality,
        max(dice) FILTER (selection = 'oracle') - max(dice) FILTER (selection = 'predicted_iou')
            AS gap
    FROM final_results
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0 AND dice IS NOT NULL
    GROUP BY ALL
),
scored AS (
    SELECT
        model, strategy, subject_id, structure, modality, count(gap) AS n, sum(gap) AS total
    FROM pairs WHERE gap IS NOT NULL
    GROUP BY ALL
)
SELECT e.model, e.strategy, e.expected, s.subject_id, s.structure, s.modality, s.n, s.total
FROM expected_scores e
LEFT JOIN scored s USING (model, strategy)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0 AND e.selection = 'oracle'
ORDER BY e.model_position, e.strategy_position, s.subject_id, s.structure, s.modality
