-- final_results: `results` at the last step of each strategy, which for one-shot strategies is all
-- of it; what means and pictures are made from.
-- Source: protocol sections 2 (steps) and 6.
CREATE VIEW final_results AS
FROM results
SEMI JOIN (SELECT strategy, max(step) AS step FROM trials GROUP BY strategy) USING (strategy, step);
