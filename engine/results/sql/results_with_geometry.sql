-- results_with_geometry: `results` and the slice's size and spacings; basis of the policies.
-- Units: *_px pixels, *_mm millimetres (NULL where the spacing is unknown).
-- Source: protocol sections 4 and 5, design "DuckDB".
CREATE VIEW results_with_geometry AS
SELECT
    c.dataset, c.modality, o.structure, c.subject_id, c.case_id, l.slice_id,
    o.object_id, o.entity_id,
    r.model, r.strategy, r.jitter_lo, r.jitter_hi, r.trial, r.step,
    r.selection, r.status, r.notes, r.candidate, r.predicted_iou,
    r.tp, r.pred_px, r.gt_px, r.dice, r.jaccard,
    r.hausdorff_px, r.hd95_px, r.assd_px, r.nsd,
    r.hausdorff_mm, r.hd95_mm, r.assd_mm, r.nsd_mm,
    seen.case_id IS NOT NULL AS seen_in_training,
    o.area_px, o.aspect_ratio, o.intensity_difference, o.fourier_order, o.fourier_order_97,
    o.n_components, o.n_holes, o.perimeter_px, o.compactness, o.solidity,
    o.touches_border, o.center_inside, o.area_fraction,
    o.boundary_gradient, o.contrast_to_noise,
    l.height, l.width, l.spacing_row_mm, l.spacing_col_mm
FROM scores r
JOIN objects o USING (object_key)
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
LEFT JOIN seen ON seen.model = r.model AND seen.case_id = c.case_id;
