-- Judge a penalty by an equivalence test: 1 - p_margin is the p of the hypothesis that the mean lies within the margin.
-- `second` is another interval of each row, whose verdicts belong to the family.
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
