-- Question: does Everything know which of its masks fit an object?
-- Every mask of Everything with every object it touches, counted in squares of predicted IoU and
-- Dice, both cut into steps of 0.05 (iou, dice: lower ends; the last step includes 1).
-- One row per model, strategy and square; n pairs of mask and object.
-- Source: protocol sections 2 (S1) and 3.
-- Empty: the study has no strategy of kind `everything`, or none of its masks touches an object.
WITH pairs AS (
    SELECT
        v.model, v.strategy, c.predicted_iou,
        2 * v.tp::DOUBLE / (c.pred_px + o.area_px) AS dice
    FROM "overlaps" v
    JOIN objects o USING (object_key)
    JOIN slices l USING (slice_id)
    JOIN slice_candidates c
        ON c.slice_key = l.slice_key AND c.model = v.model AND c.strategy = v.strategy
        AND c.candidate = v.candidate
)
SELECT
    model, strategy,
    least(greatest(floor(predicted_iou * 20), 0), 19) / 20 AS iou,
    least(floor(dice * 20), 19) / 20 AS dice,
    count(*) AS n
FROM pairs
JOIN models m USING (model)
JOIN strategies s USING (strategy)
GROUP BY ALL
ORDER BY min(m.position), min(s.position), iou, dice
