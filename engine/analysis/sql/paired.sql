-- Question: on which structures does one model beat another?
-- Every two models of the study, `baseline` the one it names first: gain = Dice of `model` minus
-- Dice of `baseline`, object by object; level (0,0), trial 0; dice_baseline, dice_model: the two
-- means it is the difference of. One row per two models, strategy, selection, structure and
-- modality; expected: its objects in the study. Objects that changed most: `paired_objects`.
-- Moments: one row per subject; total = sum of gains, -1..1.
-- Source: protocol sections 3, 6 and 7.
-- Empty: the study has one model; a comparison needs two that share a strategy.
WITH population AS (
    SELECT o.structure, c.modality, count(*) AS expected
    FROM objects o JOIN slices l USING (slice_id) JOIN cases c USING (case_id)
    GROUP BY ALL
),
gains AS (
    SELECT
        baseline, model, strategy, selection, structure, modality, subject_id,
        sum(n)::BIGINT AS n, sum(gain)::DOUBLE AS total,
        sum(dice_baseline)::DOUBLE AS before, sum(dice_model)::DOUBLE AS after
    FROM paired_moments
    GROUP BY ALL
)
SELECT
    b.model AS baseline, e.model, e.strategy, e.selection, p.structure, p.modality, p.expected,
    g.subject_id, g.n, g.total, g.before, g.after
FROM expected_scores e
JOIN models b ON b.position < e.model_position
SEMI JOIN expected x ON x.model = b.model AND x.strategy = e.strategy
CROSS JOIN population p
LEFT JOIN gains g
    ON g.baseline = b.model AND g.model = e.model AND g.strategy = e.strategy
    AND g.selection = e.selection AND g.structure = p.structure AND g.modality = p.modality
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY
    b.position, e.model_position, e.strategy_position, e.selection, p.structure, p.modality,
    g.subject_id
