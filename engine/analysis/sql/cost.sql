-- Question: where did the time go?
-- Seconds of work per model and stage over all committed cells, object factors apart, and the
-- largest memory a worker used, in GiB. Workers run side by side: the sum exceeds the run's time.
-- Source: design, table `units`.
-- Empty: no cell is evaluated yet.
WITH stages AS (
    SELECT model, peak_memory_bytes, unnest(map_entries(seconds)) AS entry
    FROM units WHERE state = 'committed'
)
SELECT
    if(model = '-', '(object factors)', model) AS model, entry.key AS stage,
    sum(entry.value) AS seconds,
    max(peak_memory_bytes) / 2 ** 30 AS peak_memory_gib
FROM stages
GROUP BY stages.model, entry.key
ORDER BY stages.model, seconds DESC, stage
