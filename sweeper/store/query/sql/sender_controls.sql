-- The controls of stitches whose stitcher reads the bottom's activation: the stitches of the senders `label` and `noise`
-- with the same setting and B, one row for each stitch and sender that has one. The control reads A's place, or, if only
-- other bottoms have one, theirs: a label's code says nothing about A, and noise carries nothing of the image.
WITH controls AS (
    SELECT
        setting, cut_a, sender, a, a_weights,
        arg_max({gain: gain, drift: drift, agreement: agreement, correct: correct}, "at") AS control
    FROM stitches_with_setting
    WHERE sender <> 'network'
    GROUP BY ALL
),
of_any_bottom AS (
    SELECT setting, cut_a, sender, arg_min(control, a) AS control
    FROM controls
    GROUP BY ALL
)
SELECT s.task, general.sender, coalesce(exact.control, general.control) AS control
FROM stitches_with_setting AS s
JOIN of_any_bottom AS general ON general.setting = s.setting AND general.cut_a = s.cut_a
LEFT JOIN controls AS exact
    ON exact.setting = s.setting AND exact.cut_a = s.cut_a AND exact.sender = general.sender
        AND exact.a = s.a AND exact.a_weights = s.a_weights
WHERE s.sender = 'network'
