-- question: Are networks that differ only in their seeds stitching-connected?
-- one row per: setting of the two networks, and cut: first the verdict on all cuts together, then each cut. Last come
--   cuts with a cut kind, which have no verdict and count in none: at a probe of A, all layers of B after the cut are
--   affine; at the same as another cut, the networks are the same
-- read it as: connected means that the data show a penalty (stitched error minus B's own) within the margin on both
--   sides. A difference that is only not significant counts as undecided. Net penalty is the penalty minus that of
--   the same stitcher where B is stitched to itself; trust the net penalty where the stitcher saw more images
-- rule: connected: the interval lies within the margin (two one-sided tests); not connected: it lies outside;
--   undecided: neither, or fewer than 2 runs per side. The statistical units are training runs. Verdicts on cuts are
--   corrected for their number (Holm 1979; penalties and net penalties together). Every cut: connected where each
--   cut's own interval lies within the margin, corrected over all such verdicts; not connected where any cut is not
-- parameter: margin = 1.0 (points; a smaller penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
WITH networks AS (
    SELECT
        task, training,
        {
            arch: arch, width: width, samples: samples, steps: steps, dataset: dataset,
            data_digest: left(data_digest, 12), options: json_merge_patch(options, '{"width": null}'),
            nested: nested, label_noise: label_noise, schedule_steps: schedule_steps,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
    WHERE steps > 0
),
stitched AS (
    SELECT
        bottom.training AS a, top.training AS b, top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as,
        s.penalty, -s.net_gain AS net_penalty,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct
    FROM stitches AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.a <> s.b AND NOT s.same_run AND s.cut_a = s.cut_b AND bottom.recipe = top.recipe
),
stitched_by_kind AS (
    SELECT
        *, cut_kind({recipe: recipe, stitching: stitching}, cut, depth, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched
),
contrasts AS (
    SELECT
        recipe, stitching, cut, cut_kind, depth,
        ci(a, b, penalty, correct, b_correct) AS penalty, ci(a, b, net_penalty, correct, own_correct) AS net
    FROM stitched_by_kind
    GROUP BY ALL
),
cuts AS (
    SELECT
        *, connected(penalty, $margin, 'cuts', net) AS verdict,
        CASE WHEN net.mean IS NOT NULL THEN connected(net, $margin, 'cuts', penalty) END AS net_verdict,
        p_margin(penalty, $margin) AS p, p_margin(net, $margin) AS net_p
    FROM contrasts
    WHERE cut_kind IS NULL
),
weakest AS (  -- the largest p of the cuts: an intersection-union test needs no correction (Berger 1982)
    SELECT
        recipe, stitching,
        bool_or(verdict = 'not connected') AS any_not_connected,
        bool_or(net_verdict = 'not connected') AS any_net_not_connected,
        max(coalesce(p, 1)) AS p, CASE WHEN count(net.mean) > 0 THEN max(coalesce(net_p, 1)) END AS net_p
    FROM cuts
    GROUP BY recipe, stitching
),
every_cut AS (
    SELECT
        recipe, stitching, '(every cut)' AS cut, NULL::DOUBLE AS depth, NULL::BIGINT AS pairs,
        CASE
            WHEN any_not_connected THEN 'not connected'
            WHEN holm_of(list_concat(list(p) OVER (), list(net_p) OVER ()), p) <= 0.025 THEN 'connected'
            ELSE 'undecided'
        END AS verdict,
        CASE
            WHEN net_p IS NULL THEN NULL
            WHEN any_net_not_connected THEN 'not connected'
            WHEN holm_of(list_concat(list(p) OVER (), list(net_p) OVER ()), net_p) <= 0.025 THEN 'connected'
            ELSE 'undecided'
        END AS net_verdict
    FROM weakest
),
places AS (
    SELECT *, 0 AS place FROM every_cut
    UNION ALL BY NAME
    SELECT * EXCLUDE (p, net_p), penalty.n_pairs AS pairs, 1 AS place FROM cuts
    UNION ALL BY NAME
    SELECT *, penalty.n_pairs AS pairs, 2 AS place FROM contrasts WHERE cut_kind IS NOT NULL
)
SELECT
    cut, cut_kind, depth, pairs,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high, verdict,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high, net_verdict,
    penalty.images AS test_images, recipe.*, stitching.*
FROM places
ORDER BY recipe, stitching, place, depth
