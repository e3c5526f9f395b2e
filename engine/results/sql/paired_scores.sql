-- paired_scores: Dice of two models on the same prompt, by keys alone: for every two models of the
-- study, `baseline` the one it names first; level (0,0), trial 0, last step; objects that both have a
-- score of. With names: `paired_results`.
-- Key: (object_key, baseline, model, strategy, selection). Source: protocol section 7.
CREATE VIEW paired_scores AS
SELECT
    b.object_key, b.model AS baseline, m.model, strategy, selection,
    2 * b.tp::DOUBLE / (b.pred_px + b.gt_px) AS dice_baseline,
    2 * m.tp::DOUBLE / (m.pred_px + m.gt_px) AS dice_model,
    dice_model - dice_baseline AS gain
FROM (
    FROM undisplaced
    SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy)
        USING (strategy, step)
    JOIN models USING (model)
    -- the last model is no baseline, and the first has none: half the join, where there are two
    WHERE tp IS NOT NULL AND position < (SELECT max(position) FROM models)
) b
JOIN (FROM undisplaced JOIN models USING (model) WHERE tp IS NOT NULL AND position > 0) m
    USING (object_key, strategy, step, selection)
WHERE b.position < m.position;
