-- Judge a trend; its p is corrected over the trends of its family.
CREATE MACRO rising(ci, family) AS
    CASE
        WHEN holm_in(p_zero(ci), family, NULL) <= 0.05 AND ci.mean > 0 THEN 'rising'
        WHEN holm_in(p_zero(ci), family, NULL) <= 0.05 THEN 'falling'
        ELSE 'undecided'
    END
