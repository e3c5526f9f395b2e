-- Question: how well is each modality segmented?
-- Prompts are not displaced (level (0,0), trial 0). One row per model, strategy, selection and
-- modality; balanced: every structure of the modality weighs the same; expected: objects of the
-- modality in the study. The paper's Fig. 10.
-- Moments: one row per subject and structure; total = sum of Dice, 0..1.
-- Source: protocol sections 3 and 6.
WITH population AS (
    SELECT c.modality, count(*) AS expected
    FROM objects o JOIN slices l USING (slice_id) JOIN cases c USING (case_id)
    GROUP BY ALL
),
scored AS (
    SELECT
        model, strategy, selection, modality, subject_id, structure,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total
    FROM final_moments
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND n > 0
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, p.modality, p.expected,
    s.subject_id, s.structure, s.n, s.total
FROM expected_scores e
CROSS JOIN population p
LEFT JOIN scored s USING (model, strategy, selection, modality)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY
    e.model_position, e.strategy_position, e.selection, p.modality, s.subject_id, s.structure
