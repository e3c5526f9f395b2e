-- Question: how much of the study is measured?
-- Trials per model and strategy: expected = done + failed + pending; undefined = done trials with
-- an empty prediction in any selection. Source: protocol section 4.
SELECT c.*
FROM coverage c
JOIN models m USING (model)
JOIN strategies s USING (strategy)
ORDER BY m.position, s.position
