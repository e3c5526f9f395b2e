-- Question: what failed, where and how often?
-- One row per model, strategy, stage and error type; n_trials: trials lost; example: the first
-- object (or slice) and message in the order of their ids.
-- Source: protocol section 4, design "A failed object or slice is a row".
-- Empty: nothing failed.
SELECT
    if(model = '-', '(object factors)', model) AS model, strategy, stage, error,
    count(*) AS n_failures,
    sum(n_trials)::BIGINT AS n_trials,
    arg_min(coalesce(object_id, slice_id), (coalesce(object_id, slice_id), message)) AS example,
    arg_min(message, (coalesce(object_id, slice_id), message)) AS message
FROM failures
GROUP BY failures.model, strategy, stage, error
ORDER BY n_trials DESC, failures.model, strategy, stage, error
