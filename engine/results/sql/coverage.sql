-- coverage: trials per model and strategy; expected = done + failed + pending.
-- failed: a step of the trial failed; undefined: done trials with an empty prediction in any
-- selection. A trial is counted once however many steps it has. Made from `tallies`.
-- Source: protocol section 4.
CREATE VIEW coverage AS
WITH asked AS (
    SELECT model, strategy, sum(expected)::BIGINT AS expected FROM expected GROUP BY ALL
)
SELECT
    a.model, a.strategy, a.expected,
    coalesce(t.present, 0) - coalesce(t.failed, 0) AS done,
    coalesce(t.failed, 0) AS failed,
    a.expected - coalesce(t.present, 0) AS pending,
    coalesce(t.undefined, 0) AS undefined
FROM asked a
LEFT JOIN tallies t USING (model, strategy)
ORDER BY a.model, a.strategy;
