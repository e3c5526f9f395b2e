-- Question: how does Dice change along an object factor?
-- Objects with the factor in six groups of equal size, from its smallest values to its largest; ties
-- may be split, by the order of their ids. Level (0,0), trial 0. One row per model, strategy,
-- selection, factor and bin: the factor's range in it (lo, hi), n objects scored of `subjects`, mean
-- of Dice with its 95 % interval over subjects (not balanced: few groups hold every structure);
-- dice_q25, dice_median, dice_q75: the spread of its objects; expected: objects of the study in it.
-- Rows: the objects and their factors; the groups are made of them.
-- Source: protocol sections 5 and 6; the paper's Figs. 12 to 14.
-- Empty: no object has a factor; the cells of object factors are not evaluated yet, or all failed.
SELECT
    o.object_key, c.subject_id,
    o.area_px, o.aspect_ratio, o.intensity_difference, o.fourier_order, o.compactness, o.solidity,
    o.area_fraction, o.boundary_gradient, o.contrast_to_noise
FROM objects o
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
ORDER BY c.subject_id, o.object_key
