-- results_worst_case: `results`, but distances of an empty prediction are the slice's diagonal,
-- hypot(H - 1, W - 1), in mm with the slice's spacings where known; nsd stays 0.
-- A failed trial says nothing about the model: its numbers stay NULL.
-- Source: protocol section 4, "Policies".
CREATE VIEW results_worst_case AS
SELECT * EXCLUDE (height, width, spacing_row_mm, spacing_col_mm, diagonal_px, diagonal_mm)
REPLACE (
    if(status = 'empty_prediction', diagonal_px, hausdorff_px) AS hausdorff_px,
    if(status = 'empty_prediction', diagonal_px, hd95_px) AS hd95_px,
    if(status = 'empty_prediction', diagonal_px, assd_px) AS assd_px,
    if(status = 'empty_prediction', diagonal_mm, hausdorff_mm) AS hausdorff_mm,
    if(status = 'empty_prediction', diagonal_mm, hd95_mm) AS hd95_mm,
    if(status = 'empty_prediction', diagonal_mm, assd_mm) AS assd_mm
)
FROM (
    SELECT
        *,
        sqrt((height - 1)::DOUBLE ** 2 + (width - 1)::DOUBLE ** 2) AS diagonal_px,
        sqrt(((height - 1) * spacing_row_mm) ** 2 + ((width - 1) * spacing_col_mm) ** 2)
            AS diagonal_mm
    FROM results_with_geometry
);
