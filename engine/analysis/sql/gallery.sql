-- Question: which objects show the best, the median and the worst mask of each strategy?
-- Rule: level (0,0), trial 0, last step, selection `predicted_iou`; objects sorted by Dice from
-- high to low, ties by object_id; picks are the first, the ((n + 1) / 2)-th (lower median) and the
-- last. An empty prediction (Dice 0) may be picked. Fewer than three objects give fewer picks.
-- Source: design "gallery".
-- Empty: no object is scored yet.
WITH scored AS (
    SELECT model, strategy, step, object_key, 2 * tp::DOUBLE / (pred_px + gt_px) AS dice
    FROM undisplaced
    SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy)
        USING (strategy, step)
    SEMI JOIN objects USING (object_key)
    WHERE selection = 'predicted_iou' AND tp IS NOT NULL
),
-- the Dice of the picks; names are sorted among the objects that have it, not among all
places AS (
    SELECT
        model, strategy, count(*) AS n,
        max(dice) AS best, -quantile_disc(-dice, 0.5) AS median, min(dice) AS worst
    FROM scored
    GROUP BY ALL
),
above AS (
    SELECT
        s.model, s.strategy, count(*) FILTER (s.dice > p.median) AS above_median,
        count(*) FILTER (s.dice > p.worst) AS above_worst
    FROM scored s JOIN places p USING (model, strategy)
    GROUP BY ALL
),
ranked AS (
    SELECT
        s.model, s.strategy, s.step, s.dice, p.n,
        o.object_id, o.structure, o.slice_id,
        row_number() OVER (PARTITION BY s.model, s.strategy, s.dice ORDER BY o.object_id)
            + CASE s.dice WHEN p.best THEN 0 WHEN p.median THEN a.above_median ELSE a.above_worst END
            AS rank
    FROM scored s
    JOIN places p ON p.model = s.model AND p.strategy = s.strategy
        AND s.dice IN (p.best, p.median, p.worst)
    JOIN above a ON a.model = s.model AND a.strategy = s.strategy
    JOIN objects o USING (object_key)
),
picks AS (
    SELECT *, CASE WHEN rank = 1 THEN 'best' WHEN rank = n THEN 'worst' ELSE 'median' END AS pick
    FROM ranked
    WHERE rank = 1 OR rank = n OR rank = (n + 1) // 2
)
SELECT
    p.model, p.strategy, p.pick, p.object_id, c.dataset, p.structure, c.modality, p.step, p.dice,
    p.rank, p.n
FROM picks p
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
JOIN models m USING (model)
JOIN strategies s USING (strategy)
ORDER BY m.position, s.position, p.rank
