-- coverage: trials per model and strategy; expected = done + failed + pending.
-- failed: a step of the trial failed; undefined: done trials with an empty prediction in any
-- selection. A trial is counted once however many steps it has.
-- Source: protocol section 4.
CREATE VIEW coverage AS
WITH present AS (
    SELECT model, strategy, count(*) AS n FROM trials WHERE step = 0 GROUP BY ALL
),
lost AS (
    SELECT DISTINCT object_key, model, strategy, jitter_lo, jitter_hi, trial
    FROM trials WHERE status = 'failed'
),
empty AS (
    SELECT DISTINCT object_key, model, strategy, jitter_lo, jitter_hi, trial
    FROM trials
    WHERE list_contains(
        list_transform(selections, lambda s: s.status), 'empty_prediction'
    )
),
lost_n AS (SELECT model, strategy, count(*) AS n FROM lost GROUP BY ALL),
empty_n AS (
    SELECT model, strategy, count(*) AS n
    FROM empty ANTI JOIN lost USING (object_key, model, strategy, jitter_lo, jitter_hi, trial)
    GROUP BY ALL
),
asked AS (
    SELECT model, strategy, sum(expected)::BIGINT AS expected FROM expected GROUP BY ALL
)
SELECT
    a.model, a.strategy, a.expected,
    coalesce(p.n, 0) - coalesce(l.n, 0) AS done,
    coalesce(l.n, 0) AS failed,
    a.expected - coalesce(p.n, 0) AS pending,
    coalesce(u.n, 0) AS undefined
FROM asked a
LEFT JOIN present p USING (model, strategy)
LEFT JOIN lost_n l USING (model, strategy)
LEFT JOIN empty_n u USING (model, strategy)
ORDER BY a.model, a.strategy;
