-- Return the Holm-adjusted p over the rows of one family.
CREATE MACRO holm_in(p, family) AS holm_of(list(p) OVER (PARTITION BY family), p)
