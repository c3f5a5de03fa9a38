-- Return 'connected', 'not connected' or 'undecided' for a penalty, by two equivalence tests at 2.5 %, each
-- Holm-corrected over the family: p_margin is the p of the hypothesis that the mean is the margin or more away from 0,
-- and 1 - p_margin that of the hypothesis that it lies within the margin. `second` is another interval of each row,
-- whose tests belong to the family.
CREATE MACRO connected(ci, margin, family) AS
    CASE
        WHEN holm_in(p_margin(ci, margin), family, NULL) <= 0.025 THEN 'connected'
        WHEN holm_in(1 - p_margin(ci, margin), family, NULL) <= 0.025 THEN 'not connected'
        ELSE 'undecided'
    END,
(ci, margin, family, second) AS
    CASE
        WHEN holm_in(p_margin(ci, margin), family, p_margin(second, margin)) <= 0.025 THEN 'connected'
        WHEN holm_in(1 - p_margin(ci, margin), family, 1 - p_margin(second, margin)) <= 0.025 THEN 'not connected'
        ELSE 'undecided'
    END
