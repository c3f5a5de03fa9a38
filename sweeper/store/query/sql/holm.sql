-- Return the Holm-adjusted p over all rows of the table.
CREATE MACRO holm(p) AS holm_of(list(p) OVER (), p)
