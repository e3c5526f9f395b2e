-- paired_results: two models on the same prompts: every object that both have a score of, for every
-- two models of the study, `baseline` the one it names first; level (0,0), trial 0, last step.
-- gain = dice_model - dice_baseline; held_out: neither model has seen the subject in training.
-- Key: (object_id, baseline, model, strategy, selection). Source: protocol section 7.
CREATE VIEW paired_results AS
SELECT
    c.dataset, c.modality, o.structure, c.subject_id, o.object_id,
    p.baseline, p.model, p.strategy, p.selection, p.dice_baseline, p.dice_model, p.gain,
    before.case_id IS NULL AND after.case_id IS NULL AS held_out
FROM paired_scores p
JOIN objects o USING (object_key)
JOIN slices l USING (slice_id)
JOIN cases c USING (case_id)
LEFT JOIN seen before ON before.model = p.baseline AND before.case_id = c.case_id
LEFT JOIN seen after ON after.model = p.model AND after.case_id = c.case_id;
