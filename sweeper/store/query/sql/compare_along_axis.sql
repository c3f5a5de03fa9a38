-- Compare the representations of networks that differ in one setting, the axis, and in their seeds: one row for each
-- level of A, level of B and place.
-- `networks` is the name of a table or of a common table expression with one row for each network:
--   task              as in `models`
--   axis              the number that differs, such as samples; trends are for each doubling of A's
--   level             a struct that identifies a level of the axis, such as {samples: samples}
--   recipe            a struct of the settings in which two compared networks must agree
--   course            trends are computed within each value of it; null if there is only one
-- `margin` is in percentage points. If `images` is 'sampled', intervals are for other test images, too. `place` is 0
-- for the mean over the cuts at depth 0.5 and more, 1 for B alone, 2 for each cut, 3 for A alone, and 4 for each cut
-- that has a `cut_kind` (probes of A, and repetitions of another cut); these are in no mean and have no verdict.
-- Verdicts and trends are those of the net gain, whose control is B stitched to itself. A verdict is read off the
-- interval in its row, which is simultaneous in its family: the means of a recipe and stitching; the cuts of one
-- mean, which are 'not tested' if the verdict on the mean is 'undecided'; the cuts of those contrasts that have no
-- mean; the trends. It holds at all of the `looks` at a family: the states of its data at which verdicts could be read,
-- which are as many as the plans of runs that brought it a model, a level or a cut. Where A and B have the same level,
-- the verdict is 'control': the row shows what other seeds do. `confidence` is the interval's own level in percent. All
-- other intervals are at 95 %. Where no pair has a control, the verdict is 'no control'. Where some pairs have one, all
-- numbers are those of these pairs, and `pairs_without_control` counts the others. `same_run` counts the pairs of
-- snapshots of one training run, which all other numbers leave out. Stitches of the senders `label` and `noise` are not
-- compared, but `caveats` names them where they do as well. Example:
--   WITH networks AS (
--     SELECT task, lr AS axis, {lr: lr} AS level, NULL AS course, {arch: arch, samples: samples} AS recipe
--     FROM models WHERE steps > 0
--   )
--   SELECT a_level.lr AS a_lr, b_level.lr AS b_lr, cut, pairs, net_gain, verdict
--   FROM compare_along_axis('networks', 1.0, 'sampled')
CREATE MACRO compare_along_axis(networks, margin, images) AS TABLE
WITH axis_networks AS MATERIALIZED (  -- levels and the like are numbered, as the rows of stitches are many
    SELECT
        n.task, n.axis, n.level, n.recipe, n.course, m.weights,
        dense_rank() OVER (ORDER BY m.draw)::INTEGER AS draw,
        dense_rank() OVER (ORDER BY n.level)::INTEGER AS level_number,
        dense_rank() OVER (ORDER BY n.recipe)::INTEGER AS recipe_number,
        dense_rank() OVER (ORDER BY n.course)::INTEGER AS course_number,
        CASE WHEN images = 'sampled' THEN reference(m.correct) END AS outcomes
    FROM query_table(networks) AS n
    JOIN models AS m USING (task)
),
self_outcomes AS MATERIALIZED (
    SELECT setting, reference(correct) AS outcomes
    FROM self_stitches
    WHERE images = 'sampled'
),
axis_stitches AS NOT MATERIALIZED (  -- pairs of networks that differ only in the axis and seeds; scanned twice
    SELECT
        bottom.draw AS a, top.draw AS b, bottom.level_number AS a_level, top.level_number AS b_level,
        bottom.axis AS a_axis, top.axis AS b_axis, bottom.course_number AS course, top.recipe_number AS recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        hash(
            s.stitcher, s.options, s.protocol, s.data, s.max_steps, s.batch, s.lr, s.augment, s.stop, s.sender, s.train
        ) AS stitching_hash,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as,
        s.gain, s.net_gain, s.b_error - s.a_error AS a_alone_gain, s.same_run,
        CASE WHEN images = 'sampled' THEN reference(s.correct) END AS correct,
        CASE WHEN bottom.weights = s.a_weights THEN bottom.outcomes END AS a_correct,
        CASE WHEN top.weights = s.b_weights THEN top.outcomes END AS b_correct,
        own.outcomes AS own_correct,
        s.drift, s.agreement,
        CASE WHEN s.protocol = 'strict' AND s.max_steps > 0 THEN s.converged::INTEGER END AS converged,
        c.label.gain - s.gain AS label_extra, c.noise.gain - s.gain AS noise_extra,
        c.label.correct AS label_correct,
        c.noise.correct AS noise_correct,
        coalesce(plans.plan, 0) AS plan
    FROM stitches_with_models AS s
    LEFT JOIN plans ON plans.run = s.run
    LEFT JOIN sender_controls(images) AS c ON c.task = s.task
    LEFT JOIN self_outcomes AS own ON own.setting = s.setting
    JOIN axis_networks AS bottom ON bottom.task = s.a
    JOIN axis_networks AS top ON top.task = s.b
    WHERE s.a <> s.b AND s.cut_a = s.cut_b AND bottom.recipe_number = top.recipe_number AND s.sender = 'network'
),
stitched_places AS (
    SELECT
        a_level, b_level, recipe, stitching_hash, cut, depth, same_as, any_value(stitching) AS stitching,
        bool_or(a_axis <> b_axis) AS differ, bool_or(affine_top) AS affine_top, bool_or(probe_only) AS probe_only
    FROM axis_stitches
    GROUP BY ALL
),
kinds AS (
    SELECT
        * EXCLUDE differ,
        cut_kind(
            {a_level: a_level, b_level: b_level, recipe: recipe, stitching: stitching_hash}, cut, depth,
            affine_top, probe_only, same_as
        ) AS cut_kind
    FROM stitched_places
    QUALIFY bool_or(differ) OVER (PARTITION BY recipe, stitching_hash)  -- some pair differs
),
cells AS MATERIALIZED (
    SELECT
        *, dense_rank() OVER (ORDER BY recipe, stitching_hash)::INTEGER AS family,
        dense_rank() OVER (ORDER BY a_level, b_level, recipe, stitching_hash)::INTEGER AS setting,
        dense_rank() OVER (ORDER BY cut)::INTEGER AS cut_number,
        dense_rank() OVER (ORDER BY a_level, b_level, recipe, stitching_hash, cut, cut_kind, depth)::INTEGER AS cell
    FROM kinds
),
stitches_by_cell AS MATERIALIZED (
    SELECT
        c.setting, c.cell, c.cut_number, c.depth >= 0.5 AND c.cut_kind IS NULL AS is_late,
        s.* EXCLUDE (
            a_level, b_level, b_axis, recipe, stitching, stitching_hash, cut, depth, affine_top, probe_only, same_as
        )
    FROM axis_stitches AS s
    JOIN cells AS c
        ON c.a_level = s.a_level AND c.b_level = s.b_level AND c.recipe = s.recipe
            AND c.stitching_hash = s.stitching_hash AND c.cut = s.cut
            AND c.depth IS NOT DISTINCT FROM s.depth AND c.same_as IS NOT DISTINCT FROM s.same_as
),
looked_at AS NOT MATERIALIZED (  -- for the number of looks
    SELECT f.family, s.setting, s.a, s.b, s.cell AS cut, s.plan
    FROM stitches_by_cell AS s
    JOIN (SELECT DISTINCT setting, family FROM cells) AS f USING (setting)
),
late_pairs AS (
    SELECT
        setting, a, b, count(DISTINCT cut_number) AS cuts,
        count(DISTINCT cut_number) FILTER (net_gain IS NOT NULL) AS cuts_with_control,
        count(DISTINCT cut_number) FILTER (label_extra IS NOT NULL) AS cuts_with_label,
        count(DISTINCT cut_number) FILTER (noise_extra IS NOT NULL) AS cuts_with_noise
    FROM stitches_by_cell
    WHERE is_late
    GROUP BY ALL
),
complete_pairs AS (
    FROM late_pairs
    SEMI JOIN (SELECT setting, max(cuts) AS cuts FROM late_pairs GROUP BY ALL) AS most USING (setting, cuts)
),
alone AS (  -- pairs with the gain of A alone over B alone
    SELECT
        setting, course, a, b, same_run, a_alone_gain AS gain, any_value(a_correct) AS correct,
        any_value(b_correct) AS b_correct
    FROM stitches_by_cell
    GROUP BY ALL
),
places AS (  -- the mean over the late cuts, for pairs that were stitched at all of them; B alone; each cut; A alone
    SELECT
        s.* EXCLUDE (is_late, a_alone_gain, a_correct, cell, cut_number, plan) REPLACE (
            CASE WHEN p.cuts_with_control = p.cuts THEN s.net_gain END AS net_gain,
            CASE WHEN p.cuts_with_label = p.cuts THEN s.label_extra END AS label_extra,
            CASE WHEN p.cuts_with_noise = p.cuts THEN s.noise_extra END AS noise_extra
        ),
        0 AS place, 0 AS cell, 0 AS cut_number
    FROM stitches_by_cell AS s
    JOIN complete_pairs AS p USING (setting, a, b)
    WHERE s.is_late
    UNION ALL BY NAME
    SELECT * EXCLUDE (correct, b_correct) REPLACE (0.0 AS gain), 1 AS place, 0 AS cell, 0 AS cut_number FROM alone
    UNION ALL BY NAME
    SELECT * EXCLUDE (is_late, a_alone_gain, a_correct, plan), 2 AS place FROM stitches_by_cell
    UNION ALL BY NAME
    SELECT *, 3 AS place, 0 AS cell, 0 AS cut_number FROM alone
),
places_with_control AS (
    SELECT setting, course, place, cell, bool_or(net_gain IS NOT NULL AND NOT same_run) AS has_control
    FROM places
    GROUP BY ALL
),
numbered_cells AS (  -- one row for each cell; cell 0 stands for the places that are no cut
    SELECT cell, any_value(cut) AS cut, any_value(cut_kind) AS cut_kind, any_value(depth) AS depth
    FROM cells
    GROUP BY cell
    UNION ALL
    SELECT 0, NULL, NULL, NULL
),
compared_places AS (
    SELECT
        * REPLACE (bool_or(has_control) OVER (PARTITION BY setting, course, place, cut, cut_kind) AS has_control)
    FROM places_with_control
    JOIN numbered_cells USING (cell)
),
sums AS (  -- two snapshots of one training run are not independent: such pairs are only counted
    SELECT
        p.setting, p.course, p.place, p.cell, any_value(c.cut) AS cut, any_value(c.cut_kind) AS cut_kind,
        any_value(c.depth) AS depth,
        count(DISTINCT p.a::BIGINT << 32 | p.b) FILTER (p.same_run) AS same_run,
        count(DISTINCT p.a::BIGINT << 32 | p.b) FILTER (NOT p.same_run AND c.has_control AND p.net_gain IS NULL)
            AS pairs_without_control,
        ci_by_number(p.a, p.b, CASE WHEN NOT p.same_run THEN p.net_gain END, p.correct, p.own_correct) AS net,
        ci_by_number(
            p.a, p.b, CASE WHEN NOT p.same_run AND (p.net_gain IS NOT NULL OR NOT c.has_control) THEN p.gain END,
            p.correct, p.b_correct
        ) AS gain
    FROM places AS p
    JOIN compared_places AS c USING (setting, course, place, cell)
    GROUP BY ALL
),
levels AS (SELECT DISTINCT level_number, level FROM axis_networks),
recipes AS (SELECT DISTINCT recipe_number, recipe FROM axis_networks),
courses AS (SELECT DISTINCT course_number, course FROM axis_networks),
settings AS (
    SELECT DISTINCT ON (setting)
        setting, a.level AS a_level, b.level AS b_level, recipes.recipe, cells.stitching,
        cells.b_level AS b_level_number, cells.recipe AS recipe_number, cells.stitching_hash, looks.looks
    FROM cells
    JOIN count_looks('looked_at') AS looks USING (family)
    JOIN levels AS a ON a.level_number = cells.a_level
    JOIN levels AS b ON b.level_number = cells.b_level
    JOIN recipes ON recipes.recipe_number = cells.recipe
),
contrasts AS (
    SELECT
        settings.a_level, settings.b_level, courses.course, settings.recipe, settings.stitching, settings.looks,
        CASE WHEN sums.place = 2 AND sums.cut_kind IS NOT NULL THEN 4 ELSE sums.place END AS place,
        CASE sums.place WHEN 0 THEN '(depth >= 0.5)' WHEN 1 THEN '(B alone)' WHEN 3 THEN '(A alone)' ELSE sums.cut END
            AS cut,
        sums.cut_kind,
        CASE sums.place WHEN 1 THEN 0.0 WHEN 3 THEN 1.0 ELSE sums.depth END AS depth,
        sums.same_run, sums.pairs_without_control, sums.net, sums.gain
    FROM sums
    JOIN settings USING (setting)
    JOIN courses ON courses.course_number = sums.course
),
trends AS (
    SELECT
        any_value(settings.b_level) AS b_level, any_value(courses.course) AS course,
        any_value(settings.recipe) AS recipe, any_value(settings.stitching) AS stitching,
        any_value(settings.looks) AS looks,
        trend_by_number(
            p.a, p.b, log2(p.a_axis), CASE WHEN NOT p.same_run THEN p.net_gain END, p.correct, p.own_correct
        ) AS trend
    FROM places AS p
    JOIN settings USING (setting)
    JOIN courses ON courses.course_number = p.course
    WHERE p.place = 0
    GROUP BY settings.b_level_number, p.course, settings.recipe_number, settings.stitching_hash
),
tendencies AS (
    SELECT * REPLACE (simultaneous(trend, count(trend.lo) OVER (PARTITION BY recipe, stitching), looks) AS trend)
    FROM trends
    WHERE trend.mean IS NOT NULL
),
controlled_places AS (  -- the senders of labels and of noise, where A or B is stitched; for a mean, at all of its cuts
    SELECT
        p.setting, CASE WHEN p.place = 2 AND c.cut_kind IS NOT NULL THEN 4 ELSE p.place END AS place,
        CASE WHEN p.place = 0 THEN '(depth >= 0.5)' ELSE c.cut END AS cut,
        avg(p.drift) AS drift, avg(p.agreement) AS agreement, 100 * avg(p.converged) AS converged,
        ci_by_number(p.a, p.b, p.label_extra, p.label_correct, p.correct) AS label,
        ci_by_number(p.a, p.b, p.noise_extra, p.noise_correct, p.correct) AS noise
    FROM places AS p
    JOIN numbered_cells AS c USING (cell)
    WHERE p.place IN (0, 2) AND NOT p.same_run
    GROUP BY ALL
),
controlled AS (
    SELECT a_level, b_level, recipe, stitching, controlled_places.* EXCLUDE setting
    FROM controlled_places
    JOIN settings USING (setting)
),
headlines AS (
    SELECT
        *,
        bool_or(place = 0 AND net.lo IS NOT NULL) OVER (
            PARTITION BY a_level, b_level, course, recipe, stitching
        ) AS has_headline
    FROM contrasts
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
