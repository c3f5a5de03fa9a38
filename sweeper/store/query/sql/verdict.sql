-- Return 'better', 'as good', 'worse' or 'undecided' for a net gain. Two kinds of tests are Holm-corrected over the
-- family, each kind separately: those of a mean of 0 at 5 %, for 'better' and 'worse', and those of a mean that is
-- the margin or more away from 0 at 2.5 % (two one-sided tests), for 'as good'. So the probability of any false
-- 'better' or 'worse' in the family is at most 5 %, that of any false 'as good' 2.5 %. For a single verdict, both
-- tests can be read off the 95 % interval: it excludes 0, or it lies within the margin.
CREATE MACRO verdict(ci, margin, family) AS
    CASE
        WHEN holm_in(p_zero(ci), family) <= 0.05 AND ci.mean > 0 THEN 'better'
        WHEN holm_in(p_margin(ci, margin), family) <= 0.025 THEN 'as good'
        WHEN holm_in(p_zero(ci), family) <= 0.05 THEN 'worse'
        ELSE 'undecided'
    END
