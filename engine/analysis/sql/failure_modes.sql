-- Question: how do masks fail?
-- Every scored object is in exactly one mode, the first that fits; level (0,0), trial 0:
--   empty           nothing predicted
--   wrong_object    Dice < 0.1: hardly any overlap
--   oversegmented   pred_px > 1.5 gt_px
--   undersegmented  pred_px < gt_px / 1.5
--   displaced       Dice < 0.5: the size is right, the place is not
--   boundary        Dice < 0.9: right object and size, errors along the border
--   good            Dice >= 0.9
-- One row per model, strategy, selection and mode; n_mode objects, share = n_mode / n; n scored;
-- expected: objects in the study. Failed trials are in none (see `failures`).
-- Source: protocol section 4; the limits are ours.
WITH modes AS (
    SELECT * FROM (VALUES
        (0, 'good'), (1, 'boundary'), (2, 'displaced'), (3, 'undersegmented'),
        (4, 'oversegmented'), (5, 'wrong_object'), (6, 'empty')
    ) modes(mode_position, mode)
),
judged AS (
    SELECT
        model, strategy, selection,
        CASE
            WHEN pred_px = 0 THEN 'empty'
            WHEN dice < 0.1 THEN 'wrong_object'
            WHEN pred_px > 1.5 * gt_px THEN 'oversegmented'
            WHEN 1.5 * pred_px < gt_px THEN 'undersegmented'
            WHEN dice < 0.5 THEN 'displaced'
            WHEN dice < 0.9 THEN 'boundary'
            ELSE 'good'
        END AS mode
    FROM final_undisplaced
    WHERE dice IS NOT NULL
),
counted AS (
    SELECT model, strategy, selection, mode, count(*) AS n_mode FROM judged GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, m.mode, coalesce(c.n_mode, 0) AS n_mode,
    coalesce(c.n_mode, 0) / s.n AS share, coalesce(s.n, 0) AS n, e.expected
FROM expected_scores e
CROSS JOIN modes m
LEFT JOIN counted c USING (model, strategy, selection, mode)
LEFT JOIN (
    SELECT model, strategy, selection, sum(n_mode)::BIGINT AS n FROM counted GROUP BY ALL
) s USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY e.model_position, e.strategy_position, e.selection, m.mode_position
