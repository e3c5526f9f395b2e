-- Question: which objects changed most from one model to another?
-- The 20 largest changes of Dice, up or down, for every two models, strategy and selection; level
-- (0,0), trial 0; rank 1 is the largest, ties by object_id; gain = dice_model - dice_baseline.
-- Source: protocol section 3; the same pairs as in `paired`.
-- Empty: no two models of the study have scored the same object.
WITH pairs AS MATERIALIZED (FROM paired_scores SEMI JOIN objects USING (object_key)),
largest AS (
    -- so that few are sorted by name
    SELECT baseline, model, strategy, selection, list_min(max(abs(gain), 20)) AS least
    FROM pairs
    GROUP BY ALL
),
ranked AS (
    SELECT
        p.*, o.object_id, o.structure, o.slice_id,
        row_number() OVER (
            PARTITION BY baseline, model, strategy, selection ORDER BY abs(gain) DESC, object_id
        ) AS rank
    FROM pairs p
    JOIN largest USING (baseline, model, strategy, selection)
    JOIN objects o USING (object_key)
    WHERE abs(gain) >= least
    QUALIFY rank <= 20
)
SELECT
    r.baseline, r.model, r.strategy, r.selection, r.rank, r.object_id, c.dataset, r.structure,
    c.modality, r.dice_baseline, r.dice_model, r.gain
FROM ranked r
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
JOIN models b ON b.model = r.baseline
JOIN models m ON m.model = r.model
JOIN strategies s USING (strategy)
ORDER BY b.position, m.position, s.position, r.selection, r.rank
