-- question: Does it matter whether the bottom was trained?
-- one row per: setting of B, and cut: first the mean over the cuts at depth 0.5 and more, then each cut. Last come
--   cuts with a cut kind, which are in no mean and have no verdict: at a probe of A, all layers of B after the cut are
--   affine; at the same as another cut, the networks are the same
-- read it as: net penalty is that of a bottom that is a random initialisation of B's architecture (its penalty minus
--   that of B into itself, with the same stitcher, data and seed), trained net penalty that of a bottom trained as B
--   was, with another seed. Stitching is informative at the cuts where the two differ. At early cuts both are small,
--   because the activations still carry most of the image. Penalties also contain what the stitcher itself has learned,
--   from more images than B's if `data` isn't top, so they have no verdict
-- rule: worse: the interval of the random bottom's net penalty lies above the margin; as good: it lies between minus
--   the margin and the margin; better: it lies below minus the margin; undecided: none of these, or fewer than 2 runs
--   per side; no control: no B was stitched to itself; not tested: a cut whose mean is undecided. The statistical units
--   are training runs. The intervals of the cuts of one mean hold together in 95 % (Bonferroni; confidence is the level
--   of each). The `looks` of these data are how often plans of runs brought them models or cuts: intervals hold at all
--   looks together, and each look has a wider one. Other rows of the store change no verdict. Intervals without a
--   verdict are at 95 %
-- parameter: margin = 1.0 (points; a smaller net penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
-- answer: Untrained bottoms: {verdict}. An untrained A gives B ({arch}, width {width}, {samples} images, {steps} steps)
--   a net penalty of {net_penalty}
-- shown: cut, depth, pairs, net_penalty, verdict, trained_net_penalty
WITH recipes AS MATERIALIZED (
    SELECT
        task, steps = 0 AND init_weights IS NULL AS random,
        {dataset: dataset, data_digest: left(data_digest, 12), arch: arch, options: options} AS architecture,
        {
            arch: arch, width: width, samples: samples, steps: steps, dataset: dataset,
            data_digest: left(data_digest, 12), options: json_merge_patch(options, '{"width": null}'),
            nested: nested, label_noise: label_noise, schedule_steps: schedule_steps,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
),
networks AS MATERIALIZED (  -- the numbers of their settings
    SELECT *, dense_rank() OVER (ORDER BY random, architecture, recipe) AS network
    FROM recipes
),
settings AS MATERIALIZED (
    SELECT DISTINCT * EXCLUDE task, dense_rank() OVER (ORDER BY recipe) AS recipe_number
    FROM networks
),
compared_settings AS MATERIALIZED (
    SELECT bottom.network AS a_network, top.network AS b_network, bottom.random, top.recipe_number
    FROM settings AS bottom
    JOIN settings AS top ON top.architecture = bottom.architecture
    WHERE NOT top.random AND (bottom.random OR bottom.recipe = top.recipe)
),
stitched AS NOT MATERIALIZED (
    FROM numbered_stitches('networks', $images)
    WHERE sender = 'network' AND relation = 'other run' AND cut_a = cut_b
),
places_by_kind AS (
    SELECT
        *, {recipe_number: recipe_number, stitching: stitching} AS key,
        cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched_places('stitched')
    JOIN compared_settings USING (a_network, b_network)
    QUALIFY bool_or(random) OVER (PARTITION BY key)
),
cells AS MATERIALIZED (
    SELECT
        *, dense_rank() OVER (ORDER BY key) AS setting, dense_rank() OVER (ORDER BY cut) AS cut_number,
        dense_rank() OVER (ORDER BY key, cut, cut_kind, depth_b) AS cell
    FROM places_by_kind
),
stitches_of_cells AS MATERIALIZED (
    SELECT
        cells.random, cells.setting, cells.cell, cells.cut_number,
        cells.depth_b >= 0.5 AND cells.cut_kind IS NULL AS is_late,
        s.a, s.b, s.gain, s.net_gain, s.correct, s.b_correct, s.own_correct, s.plan
    FROM stitched AS s
    JOIN cells USING (place)
),
looked_at AS NOT MATERIALIZED (  -- for the number of looks
    SELECT setting AS family, setting, a, b, cell AS cut, plan
    FROM stitches_of_cells
    WHERE random
),
late_pairs AS (
    SELECT
        random, setting, a, b, count(DISTINCT cut_number) AS cuts,
        count(DISTINCT cut_number) FILTER (net_gain IS NOT NULL) AS cuts_with_control
    FROM stitches_of_cells
    WHERE is_late
    GROUP BY ALL
),
complete_pairs AS (
    FROM late_pairs
    SEMI JOIN (SELECT random, setting, max(cuts) AS cuts FROM late_pairs GROUP BY ALL) AS most
        USING (random, setting, cuts)
),
places AS NOT MATERIALIZED (  -- the mean over the late cuts, cell 0, for pairs that have all of them; then each cut
    SELECT s.* REPLACE (CASE WHEN p.cuts_with_control = p.cuts THEN s.net_gain END AS net_gain, 0 AS cell)
    FROM stitches_of_cells AS s
    JOIN complete_pairs AS p USING (random, setting, a, b)
    WHERE s.is_late
    UNION ALL BY NAME
    FROM stitches_of_cells
),
numbered_cells AS (  -- of several depths of a cut, the same ones have a control
    SELECT DISTINCT cell, setting, cut_number, cut_kind
    FROM cells
    UNION ALL
    SELECT DISTINCT 0, setting, 0, NULL
    FROM cells
),
cells_with_control AS (
    SELECT random, setting, cell, bool_or(net_gain IS NOT NULL) AS has_control
    FROM places
    GROUP BY ALL
),
compared_cells AS (
    SELECT * REPLACE (bool_or(has_control) OVER (PARTITION BY random, setting, cut_number, cut_kind) AS has_control)
    FROM cells_with_control
    JOIN numbered_cells USING (setting, cell)
),
intervals AS (
    SELECT
        setting, cell,
        count(DISTINCT a::BIGINT << 32 | b) FILTER (has_control AND net_gain IS NULL) AS pairs_without_control,
        ci_by_number(a, b, CASE WHEN random THEN net_gain END, correct, own_correct) AS net,
        ci_by_number(a, b, CASE WHEN NOT random THEN net_gain END, correct, own_correct) AS trained_net,
        ci_by_number(
            a, b, CASE WHEN random AND (net_gain IS NOT NULL OR NOT has_control) THEN gain END, correct, b_correct
        ) AS gain,
        ci_by_number(
            a, b, CASE WHEN NOT random AND (net_gain IS NOT NULL OR NOT has_control) THEN gain END, correct, b_correct
        ) AS trained_gain
    FROM places
    JOIN compared_cells USING (random, setting, cell)
    GROUP BY ALL
),
described_cells AS (
    SELECT DISTINCT ON (setting, cell)
        setting, cell, cut, cut_kind, depth_b AS depth, CASE WHEN cut_kind IS NULL THEN 1 ELSE 2 END AS place
    FROM cells
    UNION ALL
    SELECT DISTINCT setting, 0, '(depth >= 0.5)', NULL, NULL, 0
    FROM cells
),
described_settings AS (
    SELECT DISTINCT ON (setting) setting, stitching, top.recipe
    FROM cells
    JOIN settings AS top ON top.network = cells.b_network
),
contrasts AS (
    SELECT s.recipe, s.stitching, looks.looks, d.place, d.cut, d.cut_kind, d.depth, i.* EXCLUDE (setting, cell)
    FROM intervals AS i
    JOIN count_looks('looked_at') AS looks ON looks.family = i.setting
    JOIN described_cells AS d USING (setting, cell)
    JOIN described_settings AS s USING (setting)
),
families AS (
    SELECT *, count(net.lo) OVER (PARTITION BY recipe, stitching, place) AS family_size
    FROM contrasts
),
decisions AS (
    SELECT
        * EXCLUDE net,
        CASE WHEN cut_kind IS NULL THEN simultaneous(net, family_size, looks) ELSE simultaneous(net, 1) END AS net,
        net.images AS net_images, net.variances AS net_variances, net.degrees AS net_degrees,
        CASE
            WHEN cut_kind IS NOT NULL THEN NULL
            WHEN net.mean IS NULL AND gain.mean IS NOT NULL THEN 'no control'
            ELSE verdict(simultaneous(net, family_size, looks), $margin)
        END AS decision
    FROM families
),
verdicts AS (
    SELECT
        *,
        CASE
            WHEN
                place = 1 AND decision <> 'no control'
                AND bool_or(place = 0 AND net.lo IS NOT NULL AND decision = 'undecided') OVER (
                    PARTITION BY recipe, stitching
                )
                THEN 'not tested'
            ELSE decision
        END AS verdict
    FROM decisions
)
SELECT
    cut, cut_kind, depth, gain.n_a AS runs_a, gain.n_b AS runs_b, gain.n_pairs AS pairs, pairs_without_control,
    -net.mean AS net_penalty, -net.hi AS net_penalty_low, -net.lo AS net_penalty_high, verdict, net.confidence, looks,
    trained_gain.n_pairs AS trained_pairs,
    -trained_net.mean AS trained_net_penalty,
    -trained_net.hi AS trained_net_penalty_low, -trained_net.lo AS trained_net_penalty_high,
    -gain.mean AS penalty, -gain.hi AS penalty_low, -gain.lo AS penalty_high,
    -trained_gain.mean AS trained_penalty,
    -trained_gain.hi AS trained_penalty_low, -trained_gain.lo AS trained_penalty_high,
    coalesce(net_images, gain.images) AS test_images, net_variances, net_degrees, recipe.*, stitching.*
FROM verdicts
ORDER BY recipe, stitching.data <> 'top', stitching, place, depth, cut
