-- question: What is the penalty of stitching A's layers to B's, at each cut?
-- one row per: setting of A, setting of B, relation of the two, and pair of cuts. Relation: other run (A and B are
--   two training runs), same run (two snapshots of one run), self (B stitched to itself: the stitcher's own effect)
-- read it as: the net penalty is the penalty of A into B (stitched error minus B's own, in points) minus that of B
--   into itself, with the same stitcher, data and seed: at about 0, A's representation is as good for B's top as B's
--   own; below 0, it is better. The penalty also contains what the stitcher itself has learned, from more images than
--   B's if `data` isn't top. Cut kind: at a probe of A, all layers of B after the cut are affine, so B is no more than
--   a linear classifier; at the same as another cut, the networks are the same. Intervals are not corrected for the
--   number of rows
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps, relation
-- settings: a_arch, b_arch, relation, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other,
--   stitcher, stitcher_options, protocol, data, max_steps, batch, lr, augment, stop, sender, train, nested
-- in all: {rows} mean net penalties from {least net_penalty} to {most net_penalty} points, without a verdict
-- shown: cut, depth, pairs, net_penalty, penalty
WITH recipes AS (
    SELECT
        task, draw, nested, concat(dataset, ' ', left(data_digest, 12)) AS dataset, arch, width, samples, steps,
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
stitched AS (
    SELECT
        bottom.draw AS a, top.draw AS b,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            relation: CASE WHEN s.a = s.b THEN 'self' WHEN s.same_run THEN 'same run' ELSE 'other run' END,
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: left(s.data_digest, 12),
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop,
            sender: s.sender, train: s.train, nested: bottom.nested OR top.nested
        } AS setting,
        s.cut_a, s.cut_b, s.depth_a, s.depth_b, s.affine_top, s.probe_only, s.same_as,
        s.penalty, -s.net_gain AS net_penalty,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct
    FROM stitches AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
),
stitched_by_kind AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        CASE WHEN cut_a = cut_b THEN cut_b ELSE concat(cut_a, ' → ', cut_b) END AS cut,
        cut_kind({networks: networks, setting: setting}, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched
),
compared AS (
    SELECT
        *,
        is_compared(
            {
                networks: networks, setting: setting, cut: cut, cut_kind: cut_kind, depth_a: depth_a, depth_b: depth_b
            },
            net_penalty
        ) AS is_compared
    FROM stitched_by_kind
),
penalties AS (
    SELECT
        networks, setting, cut, cut_kind, depth_a, depth_b,
        count(DISTINCT (a, b)) FILTER (NOT is_compared) AS pairs_without_control,
        ci(a, b, net_penalty, correct, own_correct) AS net,
        ci(a, b, CASE WHEN is_compared THEN penalty END, correct, b_correct) AS penalty
    FROM compared
    GROUP BY ALL
)
SELECT
    networks.*, cut, cut_kind, depth_b AS depth, penalty.n_pairs AS pairs, pairs_without_control,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    coalesce(net.images, penalty.images) AS test_images, setting.*
FROM penalties
ORDER BY networks, setting.data <> 'top', setting, cut_kind IS NOT NULL, depth_b, depth_a
