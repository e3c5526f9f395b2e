-- Question: what of the collection did not take part, and why?
-- One row per dataset and reason; level: what was left out; refused: an error to repair rather
-- than a rule. Source: protocol section 1.7.
-- Empty: nothing of the collection was left out.
SELECT
    dataset, reason,
    CASE
        WHEN object_id IS NOT NULL THEN 'object'
        WHEN slice_id IS NOT NULL THEN 'slice'
        WHEN case_id IS NOT NULL THEN 'case'
        ELSE 'dataset'
    END AS level,
    bool_or(refused) AS refused,
    count(*) AS n_excluded,
    min(detail) AS example
FROM exclusions
GROUP BY ALL
ORDER BY dataset, reason, level
