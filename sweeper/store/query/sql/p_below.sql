-- Return the p of the hypothesis that the mean is the bound or more. It is null without an interval.
CREATE MACRO p_below(ci, bound) AS p_less(ci.mean, ci.se, ci.df, bound::DOUBLE)
