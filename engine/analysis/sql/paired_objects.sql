-- Question: which objects changed most from one model to another?
-- The 20 largest changes of Dice, up or down, for every two models, strategy and selection; level
-- (0,0), trial 0; rank 1 is the largest, ties by object_id; gain = dice_model - dice_baseline.
-- Source: protocol section 3; the same pairs as in `paired`.
-- Empty: no two models of the study have scored the same object.
WITH largest AS (
    -- so that few are sorted by name
    SELECT baseline, model, strategy, selection, list_min(max(abs(gain), 20)) AS least
    FROM paired_results
    GROUP BY ALL
),
ranked AS (
    SELECT
        p.*,
        row_number() OVER (
            PARTITION BY baseline, model, strategy, selection ORDER BY abs(gain) DESC, object_id
        ) AS rank
    FROM paired_results p JOIN largest USING (baseline, model, strategy, selection)
    WHERE abs(gain) >= least
    QUALIFY rank <= 20
)
SELECT
    r.baseline, r.model, r.strategy, r.selection, r.rank, r.object_id, r.dataset, r.structure,
    r.modality, r.dice_baseline, r.dice_model, r.gain
FROM ranked r
JOIN models b ON b.model = r.baseline
JOIN models m ON m.model = r.model
JOIN strategies s USING (strategy)
ORDER BY b.position, m.position, s.position, r.selection, r.rank
