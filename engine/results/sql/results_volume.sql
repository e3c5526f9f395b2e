-- results_volume: Dice and Jaccard per entity over its slices, from the sums of tp, pred_px and
-- gt_px; level (0,0), trial 0, last step.
-- n_slices: slices scored; n_failed: slices whose trial failed (left out of the sums);
-- n_expected: slices of the entity in the study (more than both together: some are pending).
-- Source: protocol section 4.
CREATE VIEW results_volume AS
WITH last_steps AS (
    SELECT * FROM scores
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0
    QUALIFY step = max(step) OVER (PARTITION BY object_key, model, strategy)
),
entities AS (SELECT entity_id, count(*) AS n_expected FROM objects GROUP BY entity_id),
sums AS (
    SELECT
        o.entity_id, any_value(o.structure) AS structure, any_value(l.case_id) AS case_id,
        r.model, r.strategy, r.selection,
        count(*) FILTER (r.status <> 'failed') AS n_slices,
        count(*) FILTER (r.status = 'failed') AS n_failed,
        sum(r.tp)::BIGINT AS tp,
        sum(r.pred_px)::BIGINT AS pred_px,
        sum(r.gt_px) FILTER (r.status <> 'failed')::BIGINT AS gt_px
    FROM last_steps r
    JOIN objects o USING (object_key)
    JOIN slices l USING (slice_id)
    GROUP BY o.entity_id, r.model, r.strategy, r.selection
)
SELECT
    c.dataset, c.modality, s.structure, c.subject_id, s.case_id, s.entity_id,
    s.model, s.strategy, s.selection, s.n_slices, s.n_failed, e.n_expected,
    s.tp, s.pred_px, s.gt_px,
    2 * s.tp::DOUBLE / (s.pred_px + s.gt_px) AS dice,
    s.tp::DOUBLE / (s.pred_px + s.gt_px - s.tp) AS jaccard,
    seen.case_id IS NOT NULL AS seen_in_training
FROM sums s
JOIN entities e USING (entity_id)
JOIN cases c USING (case_id)
LEFT JOIN seen ON seen.model = s.model AND seen.case_id = c.case_id;
