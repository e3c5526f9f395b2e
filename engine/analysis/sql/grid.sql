-- Question: does a denser grid of points help Everything?
-- Strategies of kind `everything` beside each other, by the points on a side of their grid; level
-- (0,0). One row per model, strategy and selection; a study without such strategies has none.
-- masks_per_slice: mean of the masks kept, over slices with any. The paper's Table 5.
-- Moments: one row per subject, structure and modality; total = sum of Dice, 0..1.
-- Source: protocol sections 2 (S1), 3 and 6.
-- Empty: the study has no strategy of kind `everything`.
WITH grids AS (
    SELECT strategy, (params ->> 'points_per_side')::INTEGER AS points_per_side
    FROM strategies WHERE kind = 'everything'
),
kept AS (
    SELECT model, strategy, avg(n) AS masks_per_slice
    FROM (
        SELECT model, strategy, slice_key, count(*) AS n FROM slice_candidates GROUP BY ALL
    )
    GROUP BY ALL
),
scored AS (
    SELECT
        model, strategy, selection, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total
    FROM final_moments SEMI JOIN grids USING (strategy)
    WHERE n > 0
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, g.points_per_side, k.masks_per_slice, e.expected,
    s.subject_id, s.structure, s.modality, s.n, s.total
FROM expected_scores e
JOIN grids g USING (strategy)
LEFT JOIN kept k USING (model, strategy)
LEFT JOIN scored s USING (model, strategy, selection)
ORDER BY
    e.model_position, g.points_per_side, e.strategy_position, e.selection,
    s.subject_id, s.structure, s.modality
