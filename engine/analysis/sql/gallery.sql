-- Question: which objects show the best, the median and the worst mask of each strategy?
-- Rule: level (0,0), trial 0, last step, selection `predicted_iou`; objects sorted by Dice from
-- high to low, ties by object_id; picks are the first, the ((n + 1) / 2)-th (lower median) and the
-- last. An empty prediction (Dice 0) may be picked. Fewer than three objects give fewer picks.
-- Source: design "gallery".
-- Empty: no object is scored yet.
WITH ranked AS (
    SELECT
        model, strategy, object_id, structure, modality, dataset, step, dice,
        row_number() OVER (PARTITION BY model, strategy ORDER BY dice DESC, object_id) AS rank,
        count(*) OVER (PARTITION BY model, strategy) AS n
    FROM (
        SELECT * FROM final_undisplaced
        WHERE selection = 'predicted_iou' AND dice IS NOT NULL
    )
),
picks AS (
    SELECT *, CASE WHEN rank = 1 THEN 'best' WHEN rank = n THEN 'worst' ELSE 'median' END AS pick
    FROM ranked
    WHERE rank = 1 OR rank = n OR rank = (n + 1) // 2
)
SELECT
    p.model, p.strategy, p.pick, p.object_id, p.dataset, p.structure, p.modality, p.step, p.dice,
    p.rank, p.n
FROM picks p
JOIN models m USING (model)
JOIN strategies s USING (strategy)
ORDER BY m.position, s.position, p.rank
