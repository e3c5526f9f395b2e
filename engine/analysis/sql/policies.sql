-- Question: does it matter how an empty prediction's distance is counted?
-- Mean distance under the three policies: `results` leaves empty predictions out, `paper` counts them
-- as 0, `worst_case` as the slice's diagonal; level (0,0), trial 0. Ranks: 1 is the smallest mean
-- among all models and strategies of a selection; rank_changes: the three ranks are not the same.
-- One row per model, strategy, selection and metric (hausdorff_px, hd95_px, assd_px; pixels).
-- n: objects scored, n_empty of them with an empty prediction; expected: objects in the study.
-- Source: protocol section 4, "Policies".
WITH sums AS (
    SELECT
        model, strategy, selection,
        count(*) FILTER (status <> 'failed') AS n,
        count(*) FILTER (status = 'empty_prediction') AS n_empty,
        sum(sqrt((height - 1)::DOUBLE ** 2 + (width - 1)::DOUBLE ** 2))
            FILTER (status = 'empty_prediction') AS diagonals,
        sum(hausdorff_px) AS hausdorff_px, sum(hd95_px) AS hd95_px, sum(assd_px) AS assd_px
    FROM final_undisplaced
    GROUP BY ALL
),
metrics AS (
    SELECT * EXCLUDE (hausdorff_px, hd95_px, assd_px, m), m.position, m.metric, m.total
    FROM (
        SELECT *, unnest([
            {'position': 0, 'metric': 'hausdorff_px', 'total': hausdorff_px},
            {'position': 1, 'metric': 'hd95_px', 'total': hd95_px},
            {'position': 2, 'metric': 'assd_px', 'total': assd_px}
        ]) AS m FROM sums
    )
),
means AS (
    SELECT
        *,
        total / nullif(n - n_empty, 0) AS mean_results,
        coalesce(total, 0) / nullif(n, 0) AS mean_paper,
        (coalesce(total, 0) + coalesce(diagonals, 0)) / nullif(n, 0) AS mean_worst_case
    FROM metrics
),
ranked AS (
    SELECT
        *,
        if(mean_results IS NULL, NULL, rank() OVER (
            PARTITION BY selection, metric ORDER BY mean_results NULLS LAST)) AS rank_results,
        if(mean_paper IS NULL, NULL, rank() OVER (
            PARTITION BY selection, metric ORDER BY mean_paper NULLS LAST)) AS rank_paper,
        if(mean_worst_case IS NULL, NULL, rank() OVER (
            PARTITION BY selection, metric ORDER BY mean_worst_case NULLS LAST)) AS rank_worst_case
    FROM means
)
SELECT
    e.model, e.strategy, e.selection, m.metric, coalesce(r.n, 0) AS n,
    coalesce(r.n_empty, 0) AS n_empty, e.expected,
    r.mean_results, r.mean_paper, r.mean_worst_case,
    r.rank_results, r.rank_paper, r.rank_worst_case,
    r.rank_results IS DISTINCT FROM r.rank_paper
        OR r.rank_results IS DISTINCT FROM r.rank_worst_case AS rank_changes
FROM expected_scores e
CROSS JOIN (
    VALUES (0, 'hausdorff_px'), (1, 'hd95_px'), (2, 'assd_px')
) m(position, metric)
LEFT JOIN ranked r USING (model, strategy, selection, metric)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY e.selection, m.position, e.model_position, e.strategy_position
