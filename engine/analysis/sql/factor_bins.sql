-- Question: how does Dice change along an object factor?
-- Objects with the factor in six groups of equal size, from its smallest values to its largest; ties
-- may be split. Level (0,0), trial 0. One row per model, strategy, selection, factor and bin: the
-- factor's range in it (lo, hi), n objects scored, mean, quartiles and median of Dice; expected:
-- objects of the study in the bin. Quartiles are the spread of objects, not an interval of the mean.
-- Source: protocol section 5; the paper's Figs. 12 to 14.
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
        u.model, u.strategy, u.selection, b.factor, b.bin, count(u.dice) AS n,
        avg(u.dice) AS dice, quantile_cont(u.dice, 0.25) AS dice_q25,
        median(u.dice) AS dice_median, quantile_cont(u.dice, 0.75) AS dice_q75
    FROM binned b JOIN final_undisplaced u USING (object_key)
    GROUP BY ALL
)
SELECT
    e.model, e.strategy, e.selection, r.factor, r.bin, r.lo, r.hi,
    coalesce(s.n, 0) AS n, r.expected, s.dice, s.dice_q25, s.dice_median, s.dice_q75
FROM expected_scores e
CROSS JOIN ranges r
LEFT JOIN scored s USING (model, strategy, selection, factor, bin)
WHERE e.jitter_lo = 0 AND e.jitter_hi = 0
ORDER BY e.model_position, e.strategy_position, e.selection, r.factor, r.bin
