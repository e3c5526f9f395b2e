-- Question: where does the spread of Dice come from?
-- Nested sums of squares over all trials of all levels, each a sum of squared distances of a group's
-- mean from that of the group around it, weighted by its trials: data sets around the mean of all,
-- subjects within data sets, objects within subjects, jitter levels within objects, trials within
-- levels. Shares are of the total sum of squares and add up to 1; they describe the trials at hand
-- and are not estimates of variance components. NULL where all values are the same.
-- One row per model, strategy and selection; n trials scored, of n_objects, n_subjects, n_datasets;
-- expected: trials in the study; sd: standard deviation of Dice (ddof 0).
-- Source: protocol section 2 "Words" (subject), design "moments"; one-way nested ANOVA identity.
WITH last_step AS (
    SELECT * FROM spreads
    SEMI JOIN (SELECT strategy, max(step) AS step FROM moments GROUP BY strategy)
        USING (strategy, step)
),
datasets_ AS (
    SELECT
        model, strategy, selection, dataset,
        count(*) AS n_subjects, sum(n_objects)::BIGINT AS n_objects, sum(n)::BIGINT AS n,
        sum(dice)::DOUBLE AS dice, sum(squares)::DOUBLE AS squares,
        sum(dice::DOUBLE ** 2 / n) AS subject_squares,
        sum(object_squares)::DOUBLE AS object_squares,
        sum(level_squares)::DOUBLE AS level_squares
    FROM last_step
    GROUP BY ALL
),
whole AS (
    SELECT
        model, strategy, selection,
        count(*) AS n_datasets, sum(n_subjects)::BIGINT AS n_subjects,
        sum(n_objects)::BIGINT AS n_objects, sum(n)::BIGINT AS n,
        sum(squares) AS squares, sum(level_squares) AS level_squares,
        sum(object_squares) AS object_squares, sum(subject_squares) AS subject_squares,
        sum(dice ** 2 / n) AS dataset_squares, sum(dice) ** 2 / sum(n) AS mean_squares
    FROM datasets_
    GROUP BY ALL
),
parts AS (
    -- a sum of squares below 1e-12 per value is rounding
    SELECT
        * EXCLUDE (squares, level_squares, object_squares, subject_squares, dataset_squares),
        greatest(0, dataset_squares - mean_squares) AS dataset,
        greatest(0, subject_squares - dataset_squares) AS subject,
        greatest(0, object_squares - subject_squares) AS object,
        greatest(0, level_squares - object_squares) AS level,
        greatest(0, squares - level_squares) AS trial
    FROM whole
),
summed AS (
    SELECT
        *, dataset + subject + object + level + trial AS total,
        if(dataset + subject + object + level + trial > 1e-12 * n,
            dataset + subject + object + level + trial, NULL) AS spread
    FROM parts
),
asked AS (
    SELECT
        model, strategy, selection, model_position, strategy_position,
        sum(expected)::BIGINT AS expected
    FROM expected_scores GROUP BY ALL
)
SELECT
    a.model, a.strategy, a.selection, coalesce(s.n, 0) AS n, a.expected,
    coalesce(s.n_objects, 0) AS n_objects, coalesce(s.n_subjects, 0) AS n_subjects,
    coalesce(s.n_datasets, 0) AS n_datasets, sqrt(s.total / s.n) AS sd,
    s.dataset / s.spread AS share_dataset, s.subject / s.spread AS share_subject,
    s.object / s.spread AS share_object, s.level / s.spread AS share_level,
    s.trial / s.spread AS share_trial
FROM asked a
LEFT JOIN summed s USING (model, strategy, selection)
ORDER BY a.model_position, a.strategy_position, a.selection
