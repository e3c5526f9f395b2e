-- Question: which properties of an object go with its score?
-- Spearman, and partial Spearman given the other factors, of dice and of hausdorff_px with each
-- object factor; level (0,0), trial 0, objects that have the paper's five factors. One row per model,
-- strategy, selection, score and factor:
--   n, defined, expected   objects ranked; objects that have the factor; objects in the study
--   spearman, partial      -1..1, each with _lo and _hi (95 %, over subjects, ranks fixed) and
--                          _p_naive (t; takes objects as independent, which those of a subject are not)
--   controls               columns the partial correlation is given: the paper's other factors'
--                          ranks, one per modality but one; a factor of ours is given the paper's five
--   eta_squared            in the row of `modality` alone: its share of the ranks' sum of squares
-- NULL: undefined, as for a factor that is the same for all; intervals need two subjects. The
-- paper's Table 6 and Figs. 12 to 15; what it found: protocol section 8.
-- Rows: the objects and their factors; the correlations are made of their ranks.
-- Source: protocol sections 5 and 6.
SELECT
    o.object_key, c.subject_id, c.modality,
    o.area_px, o.aspect_ratio, o.intensity_difference, o.fourier_order,
    o.fourier_order_97, o.n_components, o.n_holes, o.perimeter_px, o.compactness, o.solidity,
    o.touches_border, o.center_inside, o.area_fraction, o.boundary_gradient, o.contrast_to_noise
FROM objects o
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
WHERE o.aspect_ratio IS NOT NULL AND o.intensity_difference IS NOT NULL
    AND o.fourier_order IS NOT NULL
ORDER BY c.subject_id, c.modality, o.object_key
