-- spearman: the macro spearman(x, y): Spearman's rank correlation, an aggregate like corr(x, y).
-- Average ranks; rows where either is NULL are left out; constant or fewer than 2 rows: NULL.
--     SELECT model, strategy, spearman(dice, area_px) FROM results
--     WHERE jitter_hi = 0 AND selection = 'oracle' GROUP BY ALL
-- Source: protocol section 6.
CREATE OR REPLACE MACRO spearman(x, y) AS (
    SELECT if(min(u) < max(u) AND min(v) < max(v), corr(u, v), NULL)
    FROM (
        SELECT
            rank() OVER (ORDER BY p.u) + (count(*) OVER (PARTITION BY p.u) - 1) / 2 AS u,
            rank() OVER (ORDER BY p.v) + (count(*) OVER (PARTITION BY p.v) - 1) / 2 AS v
        FROM (SELECT unnest(list({'u': x, 'v': y})) AS p)
        WHERE p.u IS NOT NULL AND p.v IS NOT NULL
    )
);
