-- Return the interval of one of a family of `count` estimates, at the level at which all intervals of the family
-- contain their values in at least 95 % (Bonferroni); with `looks`, the number of the look at the data, at all looks
-- together. `confidence` is the level in percent.
CREATE MACRO simultaneous(ci, count) AS {
    'mean': ci.mean,
    'lo': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, 0::BIGINT).lo,
    'hi': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, 0::BIGINT).hi,
    'confidence': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, 0::BIGINT).confidence
},
(ci, count, looks) AS {
    'mean': ci.mean,
    'lo': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, looks::BIGINT).lo,
    'hi': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, looks::BIGINT).hi,
    'confidence': bounds_of(ci.mean, ci.variances, ci.degrees, count::BIGINT, looks::BIGINT).confidence
}
