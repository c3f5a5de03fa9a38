-- question: Do wider models have better representations?
-- one row per: width of A and of B (equal values are the control: other seeds), and cut: first the
--   mean over the cuts at depth 0.5 and more, then B alone, each cut, and A alone, whose gain is B's error minus A's
-- read it as: a gain above 0 says that B's top works better on A's representation than on B's own. The net gain is the
--   gain minus that of the same stitcher where B is stitched to itself; trust the net gain where the stitcher saw more
--   images than B. Pairs are pairs of training runs
-- rule: better: the interval lies above 0; as good: it lies within the margin and not above 0; worse: it lies below 0
--   and not within the margin; undecided: none of these, or fewer than 2 runs a side. The units are training
--   runs, not stitches. Verdicts are corrected for their number (Holm 1979; gains and net gains together): those of
--   cuts over all cuts of the table, those of means over all means. Trend: the points by which the mean gain over
--   depth 0.5 and more grows with each doubling of A's width (least squares for each B, then the mean; the net gain
--   has the same trend). Rising or falling: its interval lies above or below 0, corrected over all trends of the table
-- parameter: margin = 1.0 (points; a gain within them counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_width, b_width
-- settings: dataset, data_digest, arch, options, samples, nested, label_noise, steps, schedule_steps, train_batch,
--   train_lr, momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data,
--   max_steps, batch, lr, augment, stop, sender, train
-- beneath: trend_per_doubling, tendency
WITH networks AS (
    SELECT
        task, training, width,
        {
            dataset: dataset, data_digest: left(data_digest, 12), arch: arch,
            options: json_merge_patch(options, '{"width": null}'), samples: samples, nested: nested,
            label_noise: label_noise, steps: steps, schedule_steps: schedule_steps,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
    WHERE steps > 0 AND width IS NOT NULL
),
stitched AS (  -- pairs of networks that differ only in width and seeds
    SELECT
        bottom.training AS a, top.training AS b,
        {a_width: bottom.width, b_width: top.width} AS level,
        top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.gain, s.net_gain, s.b_error - s.a_error AS whole_gain,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.a_correct END AS a_correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct
    FROM stitches AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.a <> s.b AND s.cut_a = s.cut_b AND bottom.recipe = top.recipe
    QUALIFY bool_or(bottom.width <> top.width) OVER (PARTITION BY top.recipe, stitching)  -- drops lone controls
),
late AS (
    SELECT *, count(DISTINCT cut) OVER (PARTITION BY level, recipe, stitching, a, b) AS cuts
    FROM stitched
    WHERE depth >= 0.5
),
places AS (  -- the mean over the late cuts, for pairs that have all of them; B alone; each cut; A alone
    SELECT * EXCLUDE a_correct REPLACE ('(depth >= 0.5)' AS cut, NULL AS depth), 0 AS place
    FROM late
    QUALIFY cuts = max(cuts) OVER (PARTITION BY level, recipe, stitching)
    UNION ALL BY NAME
    SELECT * EXCLUDE (a_correct, b_correct, own_correct, net_gain, correct)
        REPLACE ('(B alone)' AS cut, 0.0 AS depth, 0.0 AS gain), 1 AS place
    FROM stitched
    UNION ALL BY NAME
    SELECT * EXCLUDE a_correct, 2 AS place FROM stitched
    UNION ALL BY NAME
    SELECT DISTINCT ON (level, recipe, stitching, a, b, whole_gain)
        * EXCLUDE (a_correct, own_correct, net_gain) REPLACE (
            '(A alone)' AS cut, 1.0 AS depth, whole_gain AS gain, a_correct AS correct
        ), 3 AS place
    FROM stitched
),
contrasts AS (
    SELECT
        level, recipe, stitching, place, cut, depth,
        ci(a, b, gain, correct, b_correct) AS gain, ci(a, b, net_gain, correct, own_correct) AS net
    FROM places
    GROUP BY ALL
),
trends AS (
    SELECT
        level.b_width AS b_width, recipe, stitching,
        trend(a, b, log2(level.a_width), gain, correct, b_correct) AS trend
    FROM places
    WHERE place = 0
    GROUP BY ALL
),
tendencies AS (
    SELECT * RENAME (recipe AS of_recipe, stitching AS of_stitching), rising(trend, 'trends') AS tendency
    FROM trends
    WHERE trend.mean IS NOT NULL
),
claims AS (
    SELECT *, verdict(gain, $margin, place, net) AS verdict, verdict(net, $margin, place, gain) AS net_verdict
    FROM contrasts
)
SELECT
    level.*, cut, depth, gain.n_pairs AS pairs,
    gain.mean AS gain,
    CASE WHEN place <> 1 THEN gain.lo END AS gain_low, CASE WHEN place <> 1 THEN gain.hi END AS gain_high,
    CASE WHEN place IN (0, 2) THEN verdict END AS verdict,  -- B alone and A alone are not stitched networks
    net.mean AS net_gain, net.lo AS net_gain_low, net.hi AS net_gain_high,
    CASE WHEN place IN (0, 2) AND net.mean IS NOT NULL THEN net_verdict END AS net_verdict,
    t.trend.mean AS trend_per_doubling, t.trend.lo AS trend_per_doubling_low,
    t.trend.hi AS trend_per_doubling_high, t.tendency,
    gain.images AS test_images, recipe.*, stitching.*
FROM claims
LEFT JOIN tendencies AS t
    ON place = 0 AND level.b_width = t.b_width
        AND recipe IS NOT DISTINCT FROM of_recipe AND stitching IS NOT DISTINCT FROM of_stitching
ORDER BY level.b_width, level.a_width DESC, recipe, stitching, place, depth
