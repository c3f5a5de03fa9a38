-- The macro compare_along_axis computed on whole rows: with structs as keys, windows over all stitches, and bitmaps
-- passed as they are. compare_along_axis must give the same numbers.
CREATE MACRO compare_by_row(networks, margin, images) AS TABLE
WITH axis_networks AS (
    SELECT n.task, n.axis, n.level, n.recipe, n.course, m.draw
    FROM query_table(networks) AS n
    JOIN models AS m USING (task)
),
axis_stitches AS (  -- pairs of networks that differ only in the axis and seeds
    SELECT
        bottom.draw AS a, top.draw AS b, bottom.level AS a_level, top.level AS b_level, bottom.axis AS a_axis,
        bottom.course, top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as,
        s.gain, s.net_gain, s.b_error - s.a_error AS a_alone_gain, s.same_run,
        CASE WHEN images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN images = 'sampled' THEN s.a_correct END AS a_correct,
        CASE WHEN images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN images = 'sampled' THEN s.own_correct END AS own_correct,
        s.drift, s.agreement,
        CASE WHEN s.protocol = 'strict' AND s.max_steps > 0 THEN s.converged::INTEGER END AS converged,
        c.label.gain - s.gain AS label_extra, c.noise.gain - s.gain AS noise_extra,
        CASE WHEN images = 'sampled' THEN c.label.correct END AS label_correct,
        CASE WHEN images = 'sampled' THEN c.noise.correct END AS noise_correct,
        coalesce(p.plan, 'epoch'::TIMESTAMPTZ) AS plan
    FROM stitches AS s
    LEFT JOIN (  -- the first start of a run of the same job
        SELECT run, min(started) OVER (PARTITION BY job_resolved) AS plan FROM runs
    ) AS p ON p.run = s.run
    LEFT JOIN sender_controls AS c ON c.task = s.task
    JOIN axis_networks AS bottom ON bottom.task = s.a
    JOIN axis_networks AS top ON top.task = s.b
    WHERE s.a <> s.b AND s.cut_a = s.cut_b AND bottom.recipe = top.recipe AND s.sender = 'network'
    QUALIFY bool_or(bottom.axis <> top.axis) OVER (PARTITION BY top.recipe, stitching)  -- some pair differs
),
stitches_by_kind AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        cut_kind(
            {a_level: a_level, b_level: b_level, recipe: recipe, stitching: stitching}, cut, depth,
            affine_top, probe_only, same_as
        ) AS cut_kind
    FROM axis_stitches
),
first_plans AS (
    SELECT
        *, min(plan) OVER (PARTITION BY a_level, b_level, recipe, stitching, a) AS plan_of_a,
        min(plan) OVER (PARTITION BY a_level, b_level, recipe, stitching, b) AS plan_of_b,
        min(plan) OVER (PARTITION BY a_level, b_level, recipe, stitching, cut, cut_kind, depth) AS plan_of_cut
    FROM stitches_by_kind
),
looks AS (
    SELECT recipe, stitching, len(list_distinct(list(plan_of_a) || list(plan_of_b) || list(plan_of_cut))) AS looks
    FROM first_plans
    GROUP BY ALL
),
late_stitches AS (
    SELECT
        *, count(DISTINCT cut) OVER pair AS cuts,
        count(DISTINCT cut) FILTER (net_gain IS NOT NULL) OVER pair AS cuts_with_control,
        count(DISTINCT cut) FILTER (label_extra IS NOT NULL) OVER pair AS cuts_with_label,
        count(DISTINCT cut) FILTER (noise_extra IS NOT NULL) OVER pair AS cuts_with_noise
    FROM stitches_by_kind
    WHERE depth >= 0.5 AND cut_kind IS NULL
    WINDOW pair AS (PARTITION BY a_level, b_level, recipe, stitching, a, b)
),
places AS (  -- the mean over the late cuts, for pairs that were stitched at all of them; B alone; each cut; A alone
    SELECT
        * EXCLUDE a_correct REPLACE (
            '(depth >= 0.5)' AS cut, NULL AS depth, CASE WHEN cuts_with_control = cuts THEN net_gain END AS net_gain,
            CASE WHEN cuts_with_label = cuts THEN label_extra END AS label_extra,
            CASE WHEN cuts_with_noise = cuts THEN noise_extra END AS noise_extra
        ),
        0 AS place
    FROM late_stitches
    QUALIFY cuts = max(cuts) OVER (PARTITION BY a_level, b_level, recipe, stitching)
    UNION ALL BY NAME
    SELECT * EXCLUDE (a_correct, b_correct, own_correct, net_gain, correct, cut_kind)
        REPLACE ('(B alone)' AS cut, 0.0 AS depth, 0.0 AS gain), 1 AS place
    FROM stitches_by_kind
    UNION ALL BY NAME
    SELECT * EXCLUDE a_correct, CASE WHEN cut_kind IS NULL THEN 2 ELSE 4 END AS place FROM stitches_by_kind
    UNION ALL BY NAME
    SELECT DISTINCT ON (a_level, b_level, recipe, stitching, a, b, a_alone_gain)
        * EXCLUDE (a_correct, own_correct, net_gain, cut_kind) REPLACE (
            '(A alone)' AS cut, 1.0 AS depth, a_alone_gain AS gain, a_correct AS correct
        ), 3 AS place
    FROM stitches_by_kind
),
compared_places AS (
    SELECT
        *,
        is_compared(
            {
                a_level: a_level, b_level: b_level, course: course, recipe: recipe, stitching: stitching, place: place,
                cut: cut, cut_kind: cut_kind
            },
            CASE WHEN NOT same_run THEN net_gain END
        ) AS is_compared
    FROM places
),
contrasts AS (  -- two snapshots of one training run are not independent: such pairs are only counted
    SELECT
        a_level, b_level, course, recipe, stitching, place, cut, cut_kind, depth,
        count(DISTINCT (a, b)) FILTER (same_run) AS same_run,
        count(DISTINCT (a, b)) FILTER (NOT same_run AND NOT is_compared) AS pairs_without_control,
        ci(a, b, CASE WHEN NOT same_run THEN net_gain END, correct, own_correct) AS net,
        ci(a, b, CASE WHEN NOT same_run AND is_compared THEN gain END, correct, b_correct) AS gain
    FROM compared_places
    GROUP BY ALL
),
trends AS (
    SELECT
        b_level, course, recipe, stitching,
        trend(a, b, log2(a_axis), CASE WHEN NOT same_run THEN net_gain END, correct, own_correct) AS trend
    FROM places
    WHERE place = 0
    GROUP BY ALL
),
tendencies AS (
    SELECT * REPLACE (simultaneous(trend, count(trend.lo) OVER (PARTITION BY recipe, stitching), looks) AS trend)
    FROM trends
    JOIN looks USING (recipe, stitching)
    WHERE trend.mean IS NOT NULL
),
controlled AS (  -- the senders of labels and of noise, where A or B is stitched; for a mean, at all of its cuts
    SELECT
        a_level, b_level, recipe, stitching, place, cut, avg(drift) AS drift, avg(agreement) AS agreement,
        100 * avg(converged) AS converged,
        ci(a, b, label_extra, label_correct, correct) AS label, ci(a, b, noise_extra, noise_correct, correct) AS noise
    FROM places
    WHERE place IN (0, 2, 4) AND NOT same_run
    GROUP BY ALL
),
headlines AS (
    SELECT
        *,
        bool_or(place = 0 AND net.lo IS NOT NULL) OVER (
            PARTITION BY a_level, b_level, course, recipe, stitching
        ) AS has_headline
    FROM contrasts
    JOIN looks USING (recipe, stitching)
),
families AS (  -- the means of a setting; the cuts of one mean; the cuts of the setting's contrasts without a mean
    SELECT
        *,
        count(net.lo) OVER (
            PARTITION BY
                recipe, stitching, place,
                CASE WHEN has_headline AND place <> 0 THEN {a: a_level, b: b_level, course: course} END
        ) AS family_size
    FROM headlines
),
decisions AS (
    SELECT
        * EXCLUDE net,
        CASE
            WHEN place IN (0, 2) THEN simultaneous(net, family_size, looks) ELSE simultaneous(net, 1)
        END AS net,
        net.images AS net_images, net.variances AS net_variances, net.degrees AS net_degrees,
        CASE
            WHEN place NOT IN (0, 2) THEN NULL  -- B alone and A alone are not stitched networks
            WHEN net.mean IS NULL AND gain.mean IS NOT NULL THEN 'no control'
            ELSE verdict(simultaneous(net, family_size, looks), margin)
        END AS decision
    FROM families
),
verdicts AS (
    SELECT
        *,
        CASE
            WHEN a_level = b_level AND decision <> 'no control' THEN 'control'
            WHEN
                place = 2 AND has_headline AND decision <> 'no control'
                AND bool_or(place = 0 AND decision = 'undecided') OVER (
                    PARTITION BY a_level, b_level, course, recipe, stitching
                )
                THEN 'not tested'
            ELSE decision
        END AS verdict
    FROM decisions
)
SELECT
    c.a_level, c.b_level, c.recipe, c.stitching, c.place, c.cut, c.cut_kind, c.depth,
    c.gain.n_a AS runs_a, c.gain.n_b AS runs_b, c.gain.n_pairs AS pairs, c.pairs_without_control, c.same_run,
    c.net.mean AS net_gain, c.net.lo AS net_gain_low, c.net.hi AS net_gain_high, c.verdict,
    c.net.confidence, c.looks,
    c.gain.mean AS gain,
    CASE WHEN c.place <> 1 THEN c.gain.lo END AS gain_low, CASE WHEN c.place <> 1 THEN c.gain.hi END AS gain_high,
    t.trend.mean AS trend_per_doubling, t.trend.lo AS trend_per_doubling_low, t.trend.hi AS trend_per_doubling_high,
    CASE WHEN t.trend.mean IS NOT NULL THEN rising(t.trend) END AS tendency,
    d.drift, d.agreement, d.converged,
    caveats(
        [{control: 'label sender', extra: d.label}, {control: 'noise sender', extra: d.noise}],
        d.drift, d.converged, margin
    ) AS caveats,
    coalesce(c.net_images, c.gain.images) AS test_images, c.net_variances, c.net_degrees
FROM verdicts AS c
LEFT JOIN controlled AS d
    ON c.a_level = d.a_level AND c.b_level = d.b_level AND c.recipe IS NOT DISTINCT FROM d.recipe
        AND c.stitching IS NOT DISTINCT FROM d.stitching AND c.place = d.place AND c.cut = d.cut
LEFT JOIN tendencies AS t
    ON c.place = 0 AND c.b_level = t.b_level AND c.course IS NOT DISTINCT FROM t.course
        AND c.recipe IS NOT DISTINCT FROM t.recipe AND c.stitching IS NOT DISTINCT FROM t.stitching
