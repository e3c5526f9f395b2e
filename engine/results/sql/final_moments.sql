-- final_moments: `moments` at the last step of each strategy: what means are made from.
-- One row per model, strategy, level, selection, dataset, modality, structure and subject;
-- n_trials = n + n_failed; n counts empty predictions (n_empty of them), whose Dice is 0.
-- Sums of Dice, its squares, Jaccard and NSD over n rows; drop_dice: Dice minus that of the same
-- object at level (0,0), over drop_n; gap_dice: Dice of `oracle` minus that of `predicted_iou`,
-- over gap_n, in the rows of `oracle`. Decimals: cast sums to DOUBLE.
-- Source: protocol sections 2 (steps) and 6.
CREATE VIEW final_moments AS
FROM moments
SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy)
    USING (strategy, step);
