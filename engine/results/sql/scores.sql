-- scores: one row per trial step and selection, with Dice and Jaccard from the stored counts.
-- Keys: (object_key, model, strategy, jitter_lo, jitter_hi, trial, step, selection).
-- Units: *_px pixels, *_mm millimetres, dice, jaccard, nsd in 0..1. Failed: all numbers NULL.
-- Source: protocol sections 3 and 4.
CREATE VIEW scores AS
SELECT
    object_key, model, strategy, jitter_lo, jitter_hi, trial, step,
    s.selection, s.status, notes, s.candidate, s.predicted_iou, s.tp, s.pred_px, gt_px,
    2 * s.tp::DOUBLE / (s.pred_px + gt_px) AS dice,
    s.tp::DOUBLE / (s.pred_px + gt_px - s.tp) AS jaccard,
    s.hausdorff_px, s.hd95_px, s.assd_px, s.nsd,
    s.hausdorff_mm, s.hd95_mm, s.assd_mm, s.nsd_mm
FROM (SELECT * EXCLUDE (selections, candidates, prompt), unnest(selections) AS s FROM trials);
