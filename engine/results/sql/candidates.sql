-- candidates: every mask a trial could have chosen, with its Dice against the object.
-- Prompted strategies: the model's masks (0, 1, 2 multimask, 3 the single-mask token).
-- Everything: all masks of the slice in protocol order; tp = 0 where a mask misses the object.
-- ("overlaps" needs its quotes: the bare word is a keyword of DuckDB.)
-- Source: protocol sections 2 and 3.
CREATE VIEW candidates AS
SELECT
    object_key, model, strategy, jitter_lo, jitter_hi, trial, step,
    c.candidate, c.predicted_iou, c.tp, c.pred_px, gt_px,
    2 * c.tp::DOUBLE / (c.pred_px + gt_px) AS dice
FROM (
    SELECT * EXCLUDE (selections, candidates, prompt), unnest(candidates) AS c FROM trials
)
UNION ALL
SELECT
    t.object_key, t.model, t.strategy, t.jitter_lo, t.jitter_hi, t.trial, t.step,
    c.candidate, c.predicted_iou, coalesce(v.tp, 0) AS tp, c.pred_px, t.gt_px,
    2 * coalesce(v.tp, 0)::DOUBLE / (c.pred_px + t.gt_px) AS dice
FROM trials t
JOIN objects o USING (object_key)
JOIN slices s USING (slice_id)
JOIN slice_candidates c
    ON c.slice_key = s.slice_key AND c.model = t.model AND c.strategy = t.strategy
LEFT JOIN "overlaps" v
    ON v.object_key = t.object_key AND v.model = t.model AND v.strategy = t.strategy
    AND v.candidate = c.candidate
WHERE t.status = 'ok';
