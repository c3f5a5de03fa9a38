-- Return the two-sided p of the hypothesis that the mean is 0.
CREATE MACRO p_zero(ci) AS ci.p_zero
