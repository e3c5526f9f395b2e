-- partial_spearman: the macro partial_spearman(x, y, controls): Spearman's correlation of x and y
-- given the controls, an aggregate; controls is a list, e.g. [area_px, aspect_ratio]. A category
-- enters as one 0/1 column per value but one: [area_px, (modality = 'CT')::DOUBLE].
-- Average ranks, linear regression with intercept on the controls' ranks; rows with a NULL are left
-- out; a control that the others determine changes nothing; undefined: NULL.
--     SELECT model, partial_spearman(dice, area_px, [aspect_ratio, fourier_order]) FROM results
--     WHERE jitter_hi = 0 AND selection = 'oracle' AND strategy = 'box' GROUP BY ALL
-- Source: protocol section 6.
CREATE OR REPLACE MACRO partial_spearman(x, y, controls) AS (
    WITH complete AS (
        SELECT row_number() OVER () AS object, v
        FROM (SELECT unnest(list(list_concat([x::DOUBLE, y::DOUBLE], controls::DOUBLE[]))) AS v)
        WHERE len(list_filter(v, lambda one: one IS NULL)) = 0
    ),
    long AS (SELECT object, unnest(v) AS value, generate_subscripts(v, 1) AS k FROM complete),
    ranked AS (
        SELECT
            object, k,
            rank() OVER (PARTITION BY k ORDER BY value)
                + (count(*) OVER (PARTITION BY k, value) - 1) / 2 AS r
        FROM long
    ),
    correlated AS (
        SELECT a.k AS i, b.k AS j, corr(a.r, b.r) AS c
        FROM ranked a JOIN ranked b USING (object) GROUP BY a.k, b.k
    ),
    matrix AS (
        SELECT list(line ORDER BY i) AS m
        FROM (
            SELECT i, list(if(isfinite(c), c, 0) ORDER BY j) AS line
            FROM correlated GROUP BY i
        )
    ),
    swept AS (
        -- one control after the other is taken out of what is left of all others
        SELECT list_reduce(
            range(3, len(m) + 1),
            lambda a, k: if(a[k][k] < 1e-10, a, list_transform(a, lambda line:
                list_transform(line, lambda c, j: c - line[k] * a[k][j] / a[k][k]))),
            m
        ) AS m
        FROM matrix
    )
    SELECT if(
        m[1][1] > 1e-10 AND m[2][2] > 1e-10,
        greatest(-1, least(1, m[1][2] / sqrt(m[1][1] * m[2][2]))), NULL
    ) FROM swept
);
