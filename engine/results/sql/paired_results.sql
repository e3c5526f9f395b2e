-- paired_results: two models on the same prompts: every object that both have a score of, for every
-- two models of the study, `baseline` the one it names first; level (0,0), trial 0, last step.
-- gain = dice_model - dice_baseline; held_out: neither model has seen the subject in training.
-- Key: (object_id, baseline, model, strategy, selection). Source: protocol section 7.
CREATE VIEW paired_results AS
SELECT
    c.dataset, c.modality, o.structure, c.subject_id, o.object_id,
    p.baseline, p.model, p.strategy, p.selection, p.dice_baseline, p.dice_model,
    p.dice_model - p.dice_baseline AS gain,
    before.case_id IS NULL AND after.case_id IS NULL AS held_out
FROM (
    SELECT
        b.object_key, b.model AS baseline, m.model, strategy, selection,
        2 * b.tp::DOUBLE / (b.pred_px + b.gt_px) AS dice_baseline,
        2 * m.tp::DOUBLE / (m.pred_px + m.gt_px) AS dice_model
    FROM undisplaced b
    SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy)
        USING (strategy, step)
    JOIN models mb ON mb.model = b.model
    JOIN undisplaced m USING (object_key, strategy, step, selection)
    JOIN models mm ON mm.model = m.model
    WHERE mb.position < mm.position AND b.tp IS NOT NULL AND m.tp IS NOT NULL
) p
JOIN objects o USING (object_key)
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
LEFT JOIN seen before ON before.model = p.baseline AND before.case_id = c.case_id
LEFT JOIN seen after ON after.model = p.model AND after.case_id = c.case_id;
