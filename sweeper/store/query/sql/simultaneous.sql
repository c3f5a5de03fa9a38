-- Return the interval of one of a family of `count` estimates, at the level at which all intervals of the family
-- contain their values in at least 95 % (Bonferroni). `confidence` is the level in percent.
CREATE MACRO simultaneous(ci, count) AS {
    'mean': ci.mean,
    'lo': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT).lo,
    'hi': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT).hi,
    'confidence': CASE WHEN ci.lo IS NOT NULL THEN 100 - 5.0 / count END
}
