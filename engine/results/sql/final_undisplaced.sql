-- final_undisplaced: `results` at level (0,0), trial 0, at the last step of each strategy, without
-- prompts' notes, candidates, millimetres and factors; with the slice's size. From `undisplaced`.
-- Key: (object_id, model, strategy, selection). Units: *_px pixels; failed: all numbers NULL.
-- Source: protocol sections 2 (steps), 3 and 4.
CREATE VIEW final_undisplaced AS
SELECT
    c.dataset, c.modality, o.structure, c.subject_id, c.case_id, l.slice_id,
    o.object_id, o.object_key, o.entity_id,
    u.model, u.strategy, u.step, u.selection, u.status, u.tp, u.pred_px, u.gt_px,
    2 * u.tp::DOUBLE / (u.pred_px + u.gt_px) AS dice,
    u.tp::DOUBLE / (u.pred_px + u.gt_px - u.tp) AS jaccard,
    u.hausdorff_px, u.hd95_px, u.assd_px, u.nsd,
    seen.case_id IS NOT NULL AS seen_in_training,
    l.height, l.width
FROM undisplaced u
SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy) USING (strategy, step)
JOIN objects o USING (object_key)
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
LEFT JOIN seen ON seen.model = u.model AND seen.case_id = c.case_id;
