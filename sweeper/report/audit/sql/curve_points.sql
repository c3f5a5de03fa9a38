-- Average values at the places of a figure's axis, with their interval over training runs. `numbered` names a relation
-- with the kinds of pairs that stand for curves, `places` one with the values (number, curve, a, b, cut, cut_kind, x,
-- value, net, b_error) of their stitches. `net` is null without a control, a self-stitch of B. If some pairs of a place
-- have a control, only these are averaged.
CREATE OR REPLACE MACRO curve_points(numbered, places) AS TABLE
WITH compared AS (
    SELECT *, is_compared({number: number, curve: curve, cut: cut, x: x}, net) AS is_compared
    FROM query_table(places)
    WHERE isfinite(x) AND isfinite(value)
),
points AS (
    SELECT
        number, curve, cut, any_value(cut_kind) AS cut_kind, x, ci(a, b, value) AS estimate, ci(a, b, net) AS net,
        avg(b_error) AS top_error
    FROM compared
    WHERE is_compared
    GROUP BY ALL
),
curves_by_setting AS (
    SELECT DISTINCT number, setting, curve, level, others
    FROM query_table(numbered)
)
SELECT setting.*, curve, level, others, cut, cut_kind, x, estimate, net, top_error
FROM points
JOIN curves_by_setting USING (number, curve)
ORDER BY number, curve, x, cut
