-- Return the Holm-adjusted p over the rows of one family, together with the p of a second interval of each row.
CREATE MACRO holm_in(p, family, second) AS
    holm_of(
        list_concat(list(p) OVER (PARTITION BY family), list(second::DOUBLE) OVER (PARTITION BY family)),
        p
    )
