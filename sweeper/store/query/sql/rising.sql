-- Return 'rising', 'falling' or 'undecided' for a trend, by the test of a slope of 0 at 5 %, Holm-corrected over the
-- trends of the family.
CREATE MACRO rising(ci, family) AS
    CASE
        WHEN holm_in(p_zero(ci), family) <= 0.05 AND ci.mean > 0 THEN 'rising'
        WHEN holm_in(p_zero(ci), family) <= 0.05 THEN 'falling'
        ELSE 'undecided'
    END
