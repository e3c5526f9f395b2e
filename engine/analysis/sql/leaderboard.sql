-- Question: what Dice does each strategy reach, as each selection picks the mask?
-- Prompts are not displaced (level (0,0), trial 0). One row per model, strategy and selection: n
-- scored (empty predictions count, as 0), N expected, mean and 95 % interval over subjects,
-- mask-weighted and balanced over (structure, modality). Selections: `oracle`, the best of three
-- masks by the truth; `predicted_iou`, the one the model rates highest; `single`, its single-mask
-- output.
-- Moments: one row per subject, structure and modality; total = sum of Dice, 0..1.
-- Source: protocol sections 3, 4 and 6.
WITH scored AS (
    SELECT
        model, strategy, selection, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total
    FROM final_moments
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND n > 0
    GROUP BY ALL
)
SELECT e.model, e.strategy, e.selection, e.expected, s.subject_id, s.structure, s.modality,
    s.n, s.total
FROM expected_scores e
LEFT JOIN scored s USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY e.model_position, e.strategy_position, e.selection, s.subject_id, s.structure, s.modality
