-- The controls of stitches whose stitcher reads the bottom's activation: the stitches of the senders `label` and
-- `noise` with the same setting and B, one row for each stitch that has a control. The control takes A's place, or, if
-- only other bottoms have one, theirs: a code of the label says nothing about A, and noise carries nothing of the
-- image.
WITH of_bottoms AS (
    SELECT
        setting, cut_a, a, a_weights, sender,
        arg_max({gain: gain, drift: drift, agreement: agreement, correct: correct}, "at") AS control
    FROM stitches_with_setting
    WHERE sender <> 'network'
    GROUP BY ALL
),
of_one_bottom AS (
    SELECT
        setting, cut_a, a, a_weights, any_value(control) FILTER (sender = 'label') AS label,
        any_value(control) FILTER (sender = 'noise') AS noise
    FROM of_bottoms
    GROUP BY ALL
),
of_any_bottom AS (
    SELECT
        setting, cut_a, arg_min(control, a) FILTER (sender = 'label') AS label,
        arg_min(control, a) FILTER (sender = 'noise') AS noise
    FROM of_bottoms
    GROUP BY ALL
)
SELECT s.task, coalesce(exact.label, general.label) AS label, coalesce(exact.noise, general.noise) AS noise
FROM stitches_with_setting AS s
JOIN of_any_bottom AS general ON general.setting = s.setting AND general.cut_a = s.cut_a
LEFT JOIN of_one_bottom AS exact
    ON exact.setting = s.setting AND exact.cut_a = s.cut_a AND exact.a = s.a AND exact.a_weights = s.a_weights
WHERE s.sender = 'network'
