-- Question: what does each strategy cost, and what Dice does it buy?
-- Seconds of work on the run's own machine: embed_s_per_slice once per slice and model;
-- prompt_s_per_trial: prompt and decoding; score_s_per_trial: distances and selection. Everything
-- decodes once per slice, so its share of a trial depends on the objects of a slice: n_trials and
-- n_slices say of how many. Dice at level (0,0), trial 0. NULL where nothing was measured. One row
-- per model, strategy and selection. Beside the paper's Table 4 (protocol section 8).
-- Moments: one row per subject, structure and modality; total = sum of Dice, 0..1.
-- Source: design, table `units`; protocol sections 3 and 6.
WITH sizes AS (SELECT unit_id, count(*) AS n_slices FROM slices GROUP BY unit_id),
cells AS (
    SELECT
        u.model, u.strategy, s.n_slices, u.done,
        u.seconds['embed'] AS embed,
        coalesce(u.seconds['prompt'], 0) + coalesce(u.seconds['decode'], 0) AS prompt,
        coalesce(u.seconds['score'], 0) AS score
    FROM units u JOIN sizes s USING (unit_id)
    WHERE u.state = 'committed'
),
embedded AS (
    -- the seconds of an embedding that several strategies use are booked to the first of them
    SELECT model, sum(embed) / sum(n_slices) AS embed_s_per_slice
    FROM cells WHERE embed IS NOT NULL GROUP BY model
),
worked AS (
    SELECT
        model, strategy, sum(n_slices)::BIGINT AS n_slices, sum(done)::BIGINT AS n_trials,
        sum(prompt) / nullif(sum(done), 0) AS prompt_s_per_trial,
        sum(score) / nullif(sum(done), 0) AS score_s_per_trial
    FROM cells GROUP BY model, strategy
),
scored AS (
    SELECT
        model, strategy, selection, subject_id, structure, modality,
        sum(n)::BIGINT AS n, sum(dice)::DOUBLE AS total
    FROM final_moments
    WHERE jitter_lo = 0 AND jitter_hi = 0 AND n > 0
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, w.n_slices, w.n_trials, b.embed_s_per_slice,
    w.prompt_s_per_trial, w.score_s_per_trial, e.expected,
    s.subject_id, s.structure, s.modality, s.n, s.total
FROM expected_scores e
LEFT JOIN embedded b USING (model)
LEFT JOIN worked w USING (model, strategy)
LEFT JOIN scored s USING (model, strategy, selection)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY
    e.model_position, e.strategy_position, e.selection, s.subject_id, s.structure, s.modality
