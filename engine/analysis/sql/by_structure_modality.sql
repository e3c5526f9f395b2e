-- Question: which structures, in which modality, are segmented well and which not?
-- What a user gets (`predicted_iou`) and the upper bound (`oracle`); prompts are not displaced (level
-- (0,0), trial 0). One row per model, strategy, selection, structure and modality; expected: its
-- objects in the study.
-- Moments: one row per subject; total = sum of Dice, 0..1.
-- Source: protocol sections 3 and 6.
WITH population AS (
    SELECT o.structure, c.modality, count(*) AS expected
    FROM objects o JOIN slices l USING (slice_id) JOIN cases c USING (case_id)
    GROUP BY ALL
),
scored AS (
    SELECT
        model, strategy, selection, structure, modality, subject_id,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total
    FROM final_moments
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND n > 0
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, p.structure, p.modality, p.expected,
    s.subject_id, s.n, s.total
FROM expected_scores e
CROSS JOIN population p
LEFT JOIN scored s USING (model, strategy, selection, structure, modality)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0 AND e.selection IN ('oracle', 'predicted_iou')
ORDER BY
    e.model_position, e.strategy_position, e.selection, p.structure, p.modality, s.subject_id
