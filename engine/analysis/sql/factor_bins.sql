-- Question: how does Dice change along an object factor?
-- Objects with the factor in six groups of equal size, from its smallest values to its largest; ties
-- may be split, by the order of their ids. Level (0,0), trial 0. One row per model, strategy,
-- selection, factor and bin: the factor's range in it (lo, hi), n objects scored of `subjects`, mean
-- of Dice with its 95 % interval over subjects (not balanced: few groups hold every structure);
-- dice_q25, dice_median, dice_q75: the spread of its objects; expected: objects of the study in it.
-- Moments: counts and totals, lists with an entry per subject that has a score, in the order of ids.
-- Source: protocol sections 5 and 6; the paper's Figs. 12 to 14.
-- Empty: no object has a factor; the cells of object factors are not evaluated yet, or all failed.
WITH factors AS (
    UNPIVOT (
        SELECT
            object_key, area_px::DOUBLE AS area_px, aspect_ratio, intensity_difference,
            fourier_order, compactness, solidity, area_fraction, boundary_gradient,
            contrast_to_noise
        FROM objects
    ) ON COLUMNS(* EXCLUDE object_key) INTO NAME factor VALUE value
),
binned AS (
    SELECT *, ntile(6) OVER (PARTITION BY factor ORDER BY value, object_key) AS bin FROM factors
),
ranges AS (
    SELECT factor, bin, min(value) AS lo, max(value) AS hi, count(*) AS expected
    FROM binned GROUP BY ALL
),
scored AS (
    SELECT
        u.model, u.strategy, u.selection, b.factor, b.bin,
        quantile_cont(u.dice, 0.25) AS dice_q25, median(u.dice) AS dice_median,
        quantile_cont(u.dice, 0.75) AS dice_q75
    FROM binned b JOIN final_undisplaced u USING (object_key)
    GROUP BY ALL
),
of_subjects AS (
    SELECT
        u.model, u.strategy, u.selection, b.factor, b.bin, u.subject_id,
        -- as decimals: the same to the bit however many threads add
        count(*) AS n, sum(u.dice::DECIMAL(18, 15))::DOUBLE AS total
    FROM binned b JOIN final_undisplaced u USING (object_key)
    WHERE u.dice IS NOT NULL
    GROUP BY ALL
),
moments_ AS (
    SELECT
        model, strategy, selection, factor, bin,
        list(n ORDER BY subject_id) AS counts, list(total ORDER BY subject_id) AS totals
    FROM of_subjects
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, r.factor, r.bin, r.lo, r.hi, r.expected,
    m.counts, m.totals, s.dice_q25, s.dice_median, s.dice_q75
FROM expected_scores e
CROSS JOIN ranges r
LEFT JOIN scored s USING (model, strategy, selection, factor, bin)
LEFT JOIN moments_ m USING (model, strategy, selection, factor, bin)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY e.model_position, e.strategy_position, e.selection, r.factor, r.bin
