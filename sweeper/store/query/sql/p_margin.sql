-- Return the p of the hypothesis that the mean is the margin or more away from 0 (two one-sided tests).
CREATE MACRO p_margin(ci, margin) AS p_within(ci.mean, ci.variances, ci.degrees, margin::DOUBLE)
