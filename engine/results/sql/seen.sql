-- seen: (model, case) pairs whose subject the model saw in training. A dataset in `trained_on` counts
-- as a whole, unless the checkpoint names subjects of it: then those alone.
-- Source: protocol, "Words" (splits use the subject).
CREATE TABLE seen AS
WITH named AS (
    SELECT model, unnest(trained_subjects) AS subject_id FROM models
),
pairs AS (
    SELECT m.model, c.case_id, c.subject_id, c.dataset
    FROM models m JOIN cases c ON list_contains(m.trained_on, c.dataset)
),
by_name AS (
    -- ids begin with the dataset's name, encoded, as those of cases do
    SELECT DISTINCT n.model, c.dataset
    FROM named n
    JOIN (SELECT DISTINCT dataset, split_part(case_id, '/', 1) AS start FROM cases) c
        ON split_part(n.subject_id, '/', 1) = c.start
)
SELECT p.model, p.case_id
FROM pairs p ANTI JOIN by_name USING (model, dataset)
UNION ALL
SELECT p.model, p.case_id
FROM pairs p SEMI JOIN named n ON p.model = n.model AND p.subject_id = n.subject_id;
