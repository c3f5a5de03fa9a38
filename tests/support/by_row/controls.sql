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
networks AS (  -- other: null where all models with equal values in the columns before it agree in it
    SELECT * REPLACE (CASE WHEN count(DISTINCT other) OVER equal_columns > 1 THEN other END AS other)
    FROM recipes
    WINDOW equal_columns AS (PARTITION BY dataset, arch, width, samples, steps, options)
),
stitched AS (  -- stitches of two training runs, whose stitcher reads A's activation
    SELECT
        s.task, s.a AS a_task, s.b AS b_task, s.a_weights, s.b_weights, bottom.draw AS a, top.draw AS b,
        bottom.random, {dataset: bottom.dataset, arch: bottom.arch, options: bottom.all_options} AS architecture,
        bottom.seed AS a_seed,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: left(s.data_digest, 12),
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, train: s.train,
            nested: bottom.nested OR top.nested
        } AS setting,
        {
            protocol: s.protocol, data: s.data, data_digest: s.data_digest, max_steps: s.max_steps, batch: s.batch,
            lr: s.lr, augment: s.augment, stop: s.stop, train: s.train
        } AS training_of_stitcher,
        {stitcher: s.stitcher, options: s.options} AS stitcher,
        s.seed, s.cut_a, s.cut_b, s.depth_a, s.depth_b, s.affine_top, s.probe_only, s.same_as,
        s.gain, s.drift, s.agreement,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct
    FROM stitches AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.sender = 'network' AND s.a <> s.b AND NOT s.same_run
),
full_rank AS (
    SELECT DISTINCT a_task, b_task, a_weights, b_weights, cut_a, cut_b, training_of_stitcher, seed
    FROM stitched
    WHERE stitcher.stitcher = 'conv1x1'
),
low_rank AS (  -- stitches of low rank beside one of full rank
    SELECT stitched.*, (stitcher.options ->> 'rank')::BIGINT AS rank
    FROM stitched
    SEMI JOIN full_rank USING (a_task, b_task, a_weights, b_weights, cut_a, cut_b, training_of_stitcher, seed)
    WHERE stitcher.stitcher = 'low_rank'
),
claims AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        CASE WHEN cut_a = cut_b THEN cut_b ELSE concat(cut_a, ' → ', cut_b) END AS cut,
        cut_kind({networks: networks, setting: setting}, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind,
        dense_rank() OVER (PARTITION BY networks, setting ORDER BY a_seed, a) AS number
    FROM stitched
    ANTI JOIN low_rank USING (task)
    WHERE NOT random
),
random_bottoms AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY architecture, networks, training_of_stitcher, stitcher ORDER BY a_seed, a
        ) AS number
    FROM stitched
    ANTI JOIN low_rank USING (task)
    WHERE random
),
controls AS (  -- for each stitch of two trained networks, itself and its controls, in the order of the table
    SELECT
        task, 0 AS place_of_control, 'A into B' AS control, gain AS control_gain, drift AS control_drift,
        agreement AS control_agreement, correct AS control_correct
    FROM claims
    UNION ALL BY NAME
    SELECT
        claims.task, 1 AS place_of_control, 'B into itself' AS control, self_stitch.gain AS control_gain,
        self_stitch.drift AS control_drift, self_stitch.agreement AS control_agreement,
        self_stitch.correct AS control_correct
    FROM claims
    JOIN stitches_with_setting AS s ON s.task = claims.task
    JOIN self_stitches AS self_stitch ON self_stitch.setting = s.setting
    UNION ALL BY NAME
    SELECT
        task, 2 AS place_of_control, 'label sender' AS control, label.gain AS control_gain,
        label.drift AS control_drift, label.agreement AS control_agreement, label.correct AS control_correct
    FROM sender_controls
    WHERE label IS NOT NULL
    UNION ALL BY NAME
    SELECT
        task, 3 AS place_of_control, 'noise sender' AS control, noise.gain AS control_gain,
        noise.drift AS control_drift, noise.agreement AS control_agreement, noise.correct AS control_correct
    FROM sender_controls
    WHERE noise IS NOT NULL
    UNION ALL BY NAME
    SELECT
        claims.task, 4 AS place_of_control, 'random bottom' AS control, random_bottoms.gain AS control_gain,
        random_bottoms.drift AS control_drift, random_bottoms.agreement AS control_agreement,
        random_bottoms.correct AS control_correct
    FROM claims
    JOIN random_bottoms
        USING (architecture, b_task, b_weights, cut_a, cut_b, training_of_stitcher, stitcher, seed, number)
    UNION ALL BY NAME
    SELECT
        claims.task, 4 + low_rank.rank AS place_of_control, concat('rank ', low_rank.rank) AS control,
        low_rank.gain AS control_gain, low_rank.drift AS control_drift, low_rank.agreement AS control_agreement,
        low_rank.correct AS control_correct
    FROM claims
    JOIN low_rank USING (a_task, b_task, a_weights, b_weights, cut_a, cut_b, training_of_stitcher, seed)
    WHERE claims.stitcher.stitcher = 'conv1x1'
),
controlled AS (
    SELECT
        networks, setting, a, b, seed, cut, cut_kind, depth_a, depth_b, control, place_of_control, control_gain,
        control_drift, control_agreement, gain, b_correct, correct,
        CASE WHEN $images = 'sampled' THEN control_correct END AS control_correct
    FROM claims
    JOIN controls USING (task)
),
late AS (
    SELECT *, count(DISTINCT cut) OVER (PARTITION BY networks, setting, control, a, b) AS cuts
    FROM controlled
    WHERE depth_b >= 0.5 AND cut_kind IS NULL
),
places AS (  -- the mean over the late cuts, for pairs and controls that have all of them; then each cut
    SELECT * REPLACE ('(depth >= 0.5)' AS cut, NULL AS depth_a, NULL AS depth_b), 0 AS place
    FROM late
    QUALIFY cuts = max(cuts) OVER (PARTITION BY networks, setting)
    UNION ALL BY NAME
    SELECT *, CASE WHEN cut_kind IS NULL THEN 1 ELSE 2 END AS place FROM controlled
),
contrasts AS (
    SELECT
        networks, setting, place, cut, cut_kind, depth_a, depth_b, control, place_of_control,
        ci(a, b, control_gain, control_correct, b_correct) AS gain,
        ci(a, b, control_gain - gain, control_correct, correct) AS extra,
        avg(control_drift) AS drift, avg(control_agreement) AS agreement
    FROM places
    GROUP BY ALL
),
gains_by_seed AS (
    SELECT networks, setting, place, cut, control, a, b, seed, avg(control_gain) AS gain
    FROM places
    GROUP BY ALL
),
gains_by_pair AS (
    SELECT * EXCLUDE (seed, gain), count(*) AS seeds, avg(gain) AS gain, var_samp(gain) AS seed_variance
    FROM gains_by_seed
    GROUP BY ALL
),
components AS (  -- of the variance of a single stitch's gain: the stitcher's seed, and the pair of networks
    SELECT
        networks, setting, place, cut, control, max(seeds) AS seeds, avg(seed_variance) AS seed_variance,
        greatest(var_samp(gain) - avg(seed_variance) / avg(seeds), 0) AS pair_variance
    FROM gains_by_pair
    GROUP BY ALL
),
empty_controls AS (  -- the controls without A's representation
    SELECT
        networks, setting, place, cut, list({control: control, extra: extra} ORDER BY place_of_control) AS controls
    FROM contrasts
    WHERE control IN ('label sender', 'noise sender', 'random bottom')
    GROUP BY ALL
),
compared AS (
    SELECT * REPLACE (CASE WHEN control <> 'A into B' THEN extra END AS extra)
    FROM contrasts
    JOIN components USING (networks, setting, place, cut, control)
    LEFT JOIN empty_controls USING (networks, setting, place, cut)
)
SELECT
    networks.*, cut, cut_kind, depth_b AS depth, control, gain.n_a AS runs_a, gain.n_b AS runs_b, gain.n_pairs AS pairs,
    gain.mean AS gain, gain.lo AS gain_low, gain.hi AS gain_high,
    extra.mean AS extra_gain, extra.lo AS extra_gain_low, extra.hi AS extra_gain_high,
    as_well(extra, $margin) AS outcome,
    drift, agreement, seeds, sqrt(seed_variance) AS seed_sd,
    100 * seed_variance / nullif(seed_variance + pair_variance, 0) AS seed_share,
    CASE WHEN control = 'A into B' THEN caveats(coalesce(controls, []), drift, NULL, $margin) END AS caveats,
    gain.images AS test_images, setting.*
FROM compared
ORDER BY networks, setting, place, depth_b, depth_a, place_of_control
