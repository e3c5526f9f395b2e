-- Question: how far is the predicted border from the true one, and how often is there none?
-- Prompts are not displaced (level (0,0), trial 0). Distances in pixels over the objects with a
-- prediction (n_defined); an empty prediction has none and is counted, not dropped; nsd counts it
-- as 0 (tolerance: study). One row per model, strategy and selection. Source: protocol section 4.
SELECT
    e.model, e.strategy, e.selection,
    count(r.hd95_px) AS n_defined,
    count(*) FILTER (r.status = 'empty_prediction') AS n_empty,
    e.expected,
    avg(r.jaccard) AS mean_jaccard,
    avg(r.nsd) AS mean_nsd,
    median(r.hausdorff_px) AS median_hausdorff_px,
    median(r.hd95_px) AS median_hd95_px,
    median(r.assd_px) AS median_assd_px
FROM expected_scores e
LEFT JOIN final_undisplaced r USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
GROUP BY e.model, e.strategy, e.selection, e.expected, e.model_position, e.strategy_position
ORDER BY e.model_position, e.strategy_position, e.selection
