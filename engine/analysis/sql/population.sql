-- Question: what was measured on?
-- One row per dataset: subjects, cases, slices and objects of the study, its modalities and
-- structures. Source: protocol section 1.
SELECT
    c.dataset, d.licence,
    string_agg(DISTINCT c.modality, ', ' ORDER BY c.modality) AS modalities,
    count(DISTINCT c.subject_id) AS subjects,
    count(DISTINCT c.case_id) AS cases,
    count(DISTINCT l.slice_id) AS slices,
    count(*) AS objects,
    count(DISTINCT o.structure) AS structures
FROM objects o
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
JOIN datasets d USING (dataset)
GROUP BY c.dataset, d.licence
ORDER BY c.dataset
