-- Judge a gain. Two kinds of claim, "0 is too small" and "the margin is too large", are each corrected over the family
-- by itself: any false "better" or "worse" occurs with a chance of 5 %, any false "as good" with one of 2.5 %. Both the
-- two-sided test of 5 % and the TOST of 2.5 % a side can be read off the 95 % interval of a lone verdict: it excludes
-- 0, it lies within the margin. `second` is another interval of each row, whose verdicts belong to the family.
CREATE MACRO verdict(ci, margin, family) AS
    CASE
        WHEN holm_in(p_zero(ci), family, NULL) <= 0.05 AND ci.mean > 0 THEN 'better'
        WHEN holm_in(p_margin(ci, margin), family, NULL) <= 0.025 THEN 'as good'
        WHEN holm_in(p_zero(ci), family, NULL) <= 0.05 THEN 'worse'
        ELSE 'undecided'
    END,
(ci, margin, family, second) AS
    CASE
        WHEN holm_in(p_zero(ci), family, p_zero(second)) <= 0.05 AND ci.mean > 0 THEN 'better'
        WHEN holm_in(p_margin(ci, margin), family, p_margin(second, margin)) <= 0.025 THEN 'as good'
        WHEN holm_in(p_zero(ci), family, p_zero(second)) <= 0.05 THEN 'worse'
        ELSE 'undecided'
    END
