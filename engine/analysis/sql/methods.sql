-- Question: how was this run made, in words for a paper?
-- One row per paragraph of a methods section: topic and text, made from what the run recorded, in the
-- order of reading. `samscope ask RUN methods` prints the text.
-- Rows: one, with the facts; the sentences are made of them.
-- Source: tables `runs, models, parity, strategies, expected, coverage`; protocol sections 1 to 6.
SELECT
    r.study, r.study_json, r.study_seed, r.protocol_version, r.samscope_version,
    r.collection_sha256, r.study_sha256, r.algorithm_versions,
    (SELECT list({
        'model': model, 'architecture': architecture, 'weights_sha256': weights_sha256,
        'untrained': untrained, 'device': device, 'precision': precision, 'kernels': kernels,
        'trained_on': trained_on, 'trained_subjects': len(trained_subjects)
    } ORDER BY position) FROM models) AS models,
    (SELECT list(kind ORDER BY kind) FROM (  -- several in a study of mixed numerics
        SELECT {'model': model, 'precision': precision, 'device': device, 'kernels': kernels,
                'units': count(DISTINCT unit_id)} AS kind
        FROM units WHERE device IS NOT NULL GROUP BY model, precision, device, kernels
    )) AS kinds,
    (SELECT list({'strategy': strategy, 'kind': kind, 'params': params} ORDER BY position)
        FROM strategies) AS strategies,
    (SELECT list(DISTINCT dataset ORDER BY dataset) FROM datasets) AS datasets,
    (SELECT list(DISTINCT modality ORDER BY modality) FROM cases) AS modalities,
    (SELECT count(DISTINCT subject_id) FROM cases) AS subjects,
    (SELECT count(*) FROM cases) AS cases,
    (SELECT count(*) FROM slices) AS slices,
    (SELECT count(*) FROM objects) AS objects,
    (SELECT count(DISTINCT structure) FROM objects) AS structures,
    (SELECT count(*) FROM exclusions WHERE case_id IS NULL) AS excluded_datasets,
    (SELECT count(*) FROM exclusions WHERE case_id IS NOT NULL AND slice_id IS NULL)
        AS excluded_cases,
    (SELECT count(*) FROM exclusions WHERE slice_id IS NOT NULL AND object_id IS NULL)
        AS excluded_slices,
    (SELECT count(*) FROM exclusions WHERE object_id IS NOT NULL) AS excluded_objects,
    (SELECT sum(expected)::BIGINT FROM coverage) AS expected,
    (SELECT sum(done)::BIGINT FROM coverage) AS done,
    (SELECT sum(failed)::BIGINT FROM coverage) AS failed,
    (SELECT sum(pending)::BIGINT FROM coverage) AS pending,
    (SELECT sum(undefined)::BIGINT FROM coverage) AS undefined
FROM runs r
