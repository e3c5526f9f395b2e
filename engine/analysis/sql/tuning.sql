-- Question: what did training change on subjects that neither model has seen?
-- Gain = Dice of `model` minus Dice of `baseline` (the study's first), object by object, over
-- subjects held out of the training of both; level (0,0), trial 0; dice_before and dice_after are
-- the two means it is the difference of. `expected` counts held-out objects. A model stands here if
-- it has the baseline's architecture and names what it was trained on; any two models: `paired`.
-- The paper's Figs. 17 and 18. One row per model, strategy and selection.
-- Moments: one row per subject, structure and modality; total = sum of gains, -1..1.
-- Source: protocol section 7; the paper's gains: protocol section 8.
-- Empty: no model of the study is a trained version of its first one with subjects left to judge by.
WITH first AS (SELECT model AS baseline, architecture FROM models WHERE position = 0),
held_out AS (
    SELECT f.baseline, m.model, m.position, count(*) AS expected
    FROM first f
    CROSS JOIN models m
    CROSS JOIN objects o
    JOIN (SELECT slice_id, case_id FROM slices) l USING (slice_id)
    ANTI JOIN seen s ON s.case_id = l.case_id AND (s.model = f.baseline OR s.model = m.model)
    WHERE m.model <> f.baseline AND m.architecture IS NOT DISTINCT FROM f.architecture
        AND (len(m.trained_on) > 0 OR len(m.trained_subjects) > 0)
    GROUP BY ALL
),
gains AS (
    SELECT
        model, strategy, selection, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(gain)::DOUBLE AS total,
        sum(dice_baseline)::DOUBLE AS before, sum(dice_model)::DOUBLE AS after
    FROM paired_moments SEMI JOIN first USING (baseline)
    WHERE held_out
    GROUP BY ALL
)
SELECT
    h.baseline, h.model, e.strategy, e.selection, h.expected, g.subject_id,
    g.structure, g.modality, g.n, g.total, g.before, g.after
FROM held_out h
JOIN expected_scores e USING (model)
LEFT JOIN gains g USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY
    h.position, e.strategy_position, e.selection, g.subject_id, g.structure, g.modality
