-- Return 'connected', 'not connected' or 'undecided' for a penalty, by two one-sided tests at 2.5 %, each
-- Holm-corrected over the family: p_below is the p of the hypothesis that the mean is the margin or more, and
-- 1 - p_below that of the hypothesis that it is less. A penalty below 0 is an improvement, so it never disconnects.
CREATE MACRO connected(ci, margin, family) AS
    CASE
        WHEN holm_in(p_below(ci, margin), family) <= 0.025 THEN 'connected'
        WHEN holm_in(1 - p_below(ci, margin), family) <= 0.025 THEN 'not connected'
        ELSE 'undecided'
    END
