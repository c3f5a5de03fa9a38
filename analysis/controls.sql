-- question: Does a stitch use A's representation in B's own way, or would a control do as well?
-- one row per: setting of A, setting of B, cut, and control: first the mean over the cuts at depth 0.5 and more, then
--   each cut; last come cuts with a cut kind, which are in no mean. A into B: the stitch itself. B into itself: the
--   same stitcher reads B's own activation. Label sender: it reads a random code of the image's true class. Noise
--   sender: it reads A's activation of another image. Random bottom: it reads an A that was not trained. Rank 4: the
--   stitcher is low_rank with 4 channels, where A into B is conv1x1, of full rank
-- read it as: extra gain is the control's gain minus that of A into B. A control that carries no representation and
--   does as well shows that the gain needs none. Drift is the squared distance of the stitched activations from B's own
--   on the test images, as a fraction of their variance: above 1, B's mean would be closer. Agreement is the percentage
--   of images for which stitched network and B predict the same class. Seed SD is the standard deviation of a stitch's
--   gain over the stitcher's seeds, in points; seed share its percentage of the variance of a single stitch's gain
-- rule: does as well: the interval of the extra gain lies above minus the margin; does worse: it lies below 0, and not
--   above minus the margin; undecided: neither, or fewer than 2 runs per side. Caveats: controls without A's
--   representation (label, noise, random) that don't do worse, and a drift above 1. Intervals are not corrected for the
--   number of rows. A random bottom is compared with the A of the same rank by seed
-- parameter: margin = 1.0 (points; a smaller loss counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps
-- settings: a_arch, b_arch, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other, stitcher,
--   stitcher_options, protocol, data, max_steps, batch, lr, augment, stop, train, nested
-- answer: {control}: {outcome}. In place of A ({a_arch}, width {a_width}, {a_samples} images, {a_steps} steps) into B
--   ({b_arch}, width {b_width}, {b_samples} images, {b_steps} steps) it has an extra gain of {extra_gain}
-- shown: cut, control, pairs, extra_gain, outcome
WITH recipes AS (
    SELECT
        task, draw, seed, nested, concat(dataset, ' ', left(data_digest, 12)) AS dataset, arch, width, samples,
        steps, steps = 0 AND init_weights IS NULL AS random, options AS all_options,
        json_merge_patch(options, '{"width": null}') AS options,
        to_json({
            nested: nested, label_noise: label_noise, schedule_steps: schedule_steps, batch: batch, lr: lr,
            momentum: momentum, weight_decay: weight_decay, schedule: schedule, augment: augment,
            variant: variant
        }) AS other
    FROM models
),
described AS (  -- other: null where all models with equal values in the columns before it agree in it
    SELECT * REPLACE (CASE WHEN count(DISTINCT other) OVER equal_columns > 1 THEN other END AS other)
    FROM recipes
    WINDOW equal_columns AS (PARTITION BY dataset, arch, width, samples, steps, options)
),
networks AS MATERIALIZED (  -- the numbers of their settings
    SELECT
        *,
        dense_rank() OVER (
            ORDER BY dataset, arch, width, samples, steps, options, nested, other, random, all_options
        ) AS network
    FROM described
),
settings AS MATERIALIZED (
    SELECT DISTINCT
        * EXCLUDE (task, draw, seed),
        dense_rank() OVER (ORDER BY dataset, arch, width, samples, steps, options, nested, other) AS recipe,
        dense_rank() OVER (ORDER BY dataset, arch, all_options) AS architecture
    FROM networks
),
stitched AS NOT MATERIALIZED (  -- stitches of two training runs, whose stitcher reads A's activation
    FROM numbered_stitches('networks', $images)
    WHERE sender = 'network' AND relation = 'other run'
),
places AS MATERIALIZED (
    SELECT
        p.*, bottom.random,
        {a: bottom.recipe, b: top.recipe, data_digest: left(p.data_digest, 12), stitching: p.stitching} AS key,
        p.stitching.stitcher = 'conv1x1' AS is_full_rank,
        CASE WHEN p.stitching.stitcher = 'low_rank' THEN (p.stitching.stitcher_options ->> 'rank')::INTEGER END AS rank,
        hash(
            p.stitching.protocol, p.stitching.data, p.data_digest, p.stitching.max_steps, p.stitching.batch,
            p.stitching.lr, p.stitching.augment, p.stitching.stop, p.stitching.train
        ) AS training_of_stitcher,
        hash(
            bottom.architecture, p.stitching.stitcher, p.stitching.stitcher_options, training_of_stitcher
        ) AS initialisation,  -- what a random bottom shares with the A that it stands for, other than B
        hash(
            initialisation, bottom.arch, bottom.width, bottom.samples, bottom.steps, top.arch, top.width, top.samples,
            top.steps
        ) AS random_family
    FROM stitched_places('stitched') AS p
    JOIN settings AS bottom ON bottom.network = p.a_network
    JOIN settings AS top ON top.network = p.b_network
),
stitches_of_places AS MATERIALIZED (
    SELECT
        s.place, p.random, p.is_full_rank, p.rank, p.random_family, s.a, s.b, s.a_seed, s.seed,
        hash(
            s.a_task, s.b_task, s.a_weights, s.b_weights, s.cut_a, s.cut_b, p.training_of_stitcher, s.seed
        ) AS beside,  -- shared by stitches that differ only in their stitchers
        hash(s.b_task, s.b_weights, s.cut_a, s.cut_b, p.initialisation, s.seed) AS into_top,
        s.gain, s.drift, s.agreement, s.correct, s.b_correct, s.own, s.own_correct, c.label, c.noise
    FROM stitched AS s
    JOIN places AS p USING (place)
    LEFT JOIN sender_controls($images) AS c USING (task)
),
full_rank AS MATERIALIZED (
    SELECT DISTINCT beside
    FROM stitches_of_places
    WHERE is_full_rank
),
low_rank AS NOT MATERIALIZED (  -- stitches of low rank beside one of full rank
    FROM stitches_of_places
    SEMI JOIN full_rank USING (beside)
    WHERE rank IS NOT NULL
),
others AS NOT MATERIALIZED (
    FROM stitches_of_places
    WHERE rank IS NULL
    UNION ALL
    FROM stitches_of_places
    ANTI JOIN full_rank USING (beside)
    WHERE rank IS NOT NULL
),
places_by_kind AS (
    SELECT *, cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind
    FROM places
    SEMI JOIN (FROM others WHERE NOT random) AS claimed USING (place)
),
cells AS MATERIALIZED (
    SELECT
        *, dense_rank() OVER (ORDER BY key)::INTEGER AS setting,
        dense_rank() OVER (ORDER BY cut)::INTEGER AS cut_number,
        dense_rank() OVER (ORDER BY key, cut, cut_kind, depth_a, depth_b)::INTEGER AS cell
    FROM places_by_kind
),
bottoms AS MATERIALIZED (
    SELECT setting, a, dense_rank() OVER (PARTITION BY setting ORDER BY a_seed, a) AS number
    FROM (SELECT DISTINCT setting, a_seed, a FROM others JOIN cells USING (place) WHERE NOT others.random)
),
claims AS NOT MATERIALIZED (
    SELECT
        c.setting, c.cell, c.cut_number, c.depth_b >= 0.5 AND c.cut_kind IS NULL AS is_late, bottoms.number,
        s.* EXCLUDE (place, random, rank, random_family, a_seed)
    FROM others AS s
    JOIN cells AS c USING (place)
    JOIN bottoms USING (setting, a)
    WHERE NOT s.random
),
random_bottoms AS (
    SELECT random_family, a, dense_rank() OVER (PARTITION BY random_family ORDER BY a_seed, a) AS number
    FROM (SELECT DISTINCT random_family, a_seed, a FROM others WHERE random)
),
random_stitches AS (
    SELECT s.into_top, r.number, s.gain, s.drift, s.agreement, s.correct
    FROM others AS s
    JOIN random_bottoms AS r USING (random_family, a)
    WHERE s.random
),
controlled AS MATERIALIZED (  -- each stitch of two trained networks and its controls, in the order of the table
    SELECT
        setting, cell, cut_number, is_late, a, b, seed, gain, correct, b_correct, 0 AS control,
        gain AS control_gain, drift AS control_drift, agreement AS control_agreement, correct AS control_correct
    FROM claims
    UNION ALL
    SELECT
        setting, cell, cut_number, is_late, a, b, seed, gain, correct, b_correct, 1, own.gain, own.drift,
        own.agreement, own_correct
    FROM claims
    WHERE own IS NOT NULL
    UNION ALL
    SELECT
        setting, cell, cut_number, is_late, a, b, seed, gain, correct, b_correct, 2, label.gain, label.drift,
        label.agreement, label.correct
    FROM claims
    WHERE label IS NOT NULL
    UNION ALL
    SELECT
        setting, cell, cut_number, is_late, a, b, seed, gain, correct, b_correct, 3, noise.gain, noise.drift,
        noise.agreement, noise.correct
    FROM claims
    WHERE noise IS NOT NULL
    UNION ALL
    SELECT
        setting, cell, cut_number, is_late, a, b, seed, c.gain, c.correct, c.b_correct, 4, r.gain, r.drift,
        r.agreement, r.correct
    FROM claims AS c
    JOIN random_stitches AS r USING (into_top, number)
    UNION ALL
    SELECT
        setting, cell, cut_number, is_late, c.a, c.b, c.seed, c.gain, c.correct, c.b_correct, 4 + l.rank, l.gain,
        l.drift, l.agreement, l.correct
    FROM claims AS c
    JOIN low_rank AS l USING (beside)
    WHERE c.is_full_rank
),
late_pairs AS (
    SELECT setting, control, a, b, count(DISTINCT cut_number) AS cuts
    FROM controlled
    WHERE is_late
    GROUP BY ALL
),
complete_pairs AS (
    FROM late_pairs
    SEMI JOIN (SELECT setting, max(cuts) AS cuts FROM late_pairs GROUP BY ALL) AS most USING (setting, cuts)
),
means_and_cuts AS NOT MATERIALIZED (  -- the mean over the late cuts, for pairs and controls that have all; each cut
    SELECT * REPLACE (0 AS cell)
    FROM controlled
    SEMI JOIN complete_pairs USING (setting, control, a, b)
    WHERE is_late
    UNION ALL
    FROM controlled
),
contrasts AS (
    SELECT
        setting, cell, control, ci_by_number(a, b, control_gain, control_correct, b_correct) AS gain,
        ci_by_number(a, b, CASE WHEN control > 0 THEN control_gain - gain END, control_correct, correct) AS extra,
        avg(control_drift) AS drift, avg(control_agreement) AS agreement
    FROM means_and_cuts
    GROUP BY ALL
),
gains_by_seed AS (
    SELECT setting, cell, control, a, b, seed, avg(control_gain) AS gain
    FROM means_and_cuts
    GROUP BY ALL
),
gains_by_pair AS (
    SELECT * EXCLUDE (seed, gain), count(*) AS seeds, avg(gain) AS gain, var_samp(gain) AS seed_variance
    FROM gains_by_seed
    GROUP BY ALL
),
components AS (  -- of the variance of a single stitch's gain: the stitcher's seed, and the pair of networks
    SELECT
        setting, cell, control, max(seeds) AS seeds, avg(seed_variance) AS seed_variance,
        greatest(var_samp(gain) - avg(seed_variance) / avg(seeds), 0) AS pair_variance
    FROM gains_by_pair
    GROUP BY ALL
),
names AS (
    SELECT
        *,
        CASE control
            WHEN 0 THEN 'A into B' WHEN 1 THEN 'B into itself' WHEN 2 THEN 'label sender' WHEN 3 THEN 'noise sender'
            WHEN 4 THEN 'random bottom' ELSE concat('rank ', control - 4)
        END AS name
    FROM contrasts
    JOIN components USING (setting, cell, control)
),
empty_controls AS (  -- the controls without A's representation
    SELECT setting, cell, list({control: name, extra: extra} ORDER BY control) AS controls
    FROM names
    WHERE control IN (2, 3, 4)
    GROUP BY ALL
),
described_cells AS (
    SELECT DISTINCT ON (setting, cell)
        setting, cell, CASE WHEN cut_kind IS NULL THEN 1 ELSE 2 END AS place, cut, cut_kind, depth_a, depth_b
    FROM cells
    UNION ALL
    SELECT DISTINCT setting, 0, 0, '(depth >= 0.5)', NULL, NULL, NULL
    FROM cells
),
described_settings AS (
    SELECT DISTINCT ON (setting)
        setting AS setting_number,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: key.data_digest,
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            stitcher: stitching.stitcher, stitcher_options: stitching.stitcher_options, protocol: stitching.protocol,
            data: stitching.data, max_steps: stitching.max_steps, batch: stitching.batch, lr: stitching.lr,
            augment: stitching.augment, stop: stitching.stop, train: stitching.train,
            nested: bottom.nested OR top.nested
        } AS stitching
    FROM cells
    JOIN settings AS bottom ON bottom.network = cells.a_network
    JOIN settings AS top ON top.network = cells.b_network
)
SELECT
    networks.*, d.cut, d.cut_kind, d.depth_b AS depth, n.name AS control, n.gain.n_a AS runs_a, n.gain.n_b AS runs_b,
    n.gain.n_pairs AS pairs,
    n.gain.mean AS gain, n.gain.lo AS gain_low, n.gain.hi AS gain_high,
    n.extra.mean AS extra_gain, n.extra.lo AS extra_gain_low, n.extra.hi AS extra_gain_high,
    as_well(n.extra, $margin) AS outcome,
    n.drift, n.agreement, n.seeds, sqrt(n.seed_variance) AS seed_sd,
    100 * n.seed_variance / nullif(n.seed_variance + n.pair_variance, 0) AS seed_share,
    CASE WHEN n.control = 0 THEN caveats(coalesce(e.controls, []), n.drift, NULL, $margin) END AS caveats,
    n.gain.images AS test_images, stitching.*
FROM names AS n
JOIN described_cells AS d USING (setting, cell)
JOIN described_settings AS s ON s.setting_number = n.setting
LEFT JOIN empty_controls AS e ON e.setting = n.setting AND e.cell = n.cell
ORDER BY networks, stitching, d.place, d.depth_b, d.depth_a, d.cut, n.control
