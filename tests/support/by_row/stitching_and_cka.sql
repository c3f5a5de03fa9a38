-- question: Do stitching and similarity measures such as CKA agree?
-- one row per: setting of A, setting of B, measure with its options, and cut, over the pairs that have both values
-- read it as: the net penalty (the penalty of A into B minus that of B into itself, with the same stitcher, data and
--   seed, in points) measures how well A's representation serves B's top, and has a sign. The similarity (of the same
--   activations) measures how alike the two are, and has no sign. They disagree where the similarity is low and the net
--   penalty is about 0: unlike, but as good. The penalty (stitched error minus B's own) also contains what the stitcher
--   itself has learned. Cut kind: at a probe of A, all layers of B after the cut are affine; at the same as another
--   cut, the networks are the same. Intervals are not corrected for the number of rows; those of similarities treat the
--   test images as fixed
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps, measure
-- settings: a_arch, b_arch, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other, images,
--   stitcher, stitcher_options, protocol, data, max_steps, batch, lr, augment, stop, sender, train, nested
-- in all: {rows} comparisons of a net penalty with a similarity (measures: {distinct measure}), without a verdict: net
--   penalties from {least net_penalty} to {most net_penalty} points
-- shown: cut, depth, pairs, net_penalty, similarity
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
compared AS (  -- similarities of pairs at cuts, to be joined with stitches of the same weights
    SELECT
        a, b, a_weights, b_weights, cut_a, cut_b, data_digest,
        concat_ws(' ', measure, nullif(translate(options, '{}"', ''), '')) AS measure, samples AS images, value
    FROM similarities
),
stitched_and_compared AS (
    SELECT
        bottom.draw AS a, top.draw AS b,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: left(s.data_digest, 12),
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            images: compared.images, stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol,
            data: s.data, max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop,
            sender: s.sender, train: s.train, nested: bottom.nested OR top.nested
        } AS setting,
        compared.measure, s.cut_a, s.cut_b, s.depth_a, s.depth_b, s.affine_top, s.probe_only,
        s.same_as, s.penalty, -s.net_gain AS net_penalty, compared.value,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct
    FROM stitches AS s
    JOIN compared USING (a, b, a_weights, b_weights, cut_a, cut_b, data_digest)
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.sender = 'network' AND s.a <> s.b AND NOT s.same_run
),
by_kind AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        CASE WHEN cut_a = cut_b THEN cut_b ELSE concat(cut_a, ' → ', cut_b) END AS cut,
        cut_kind(
            {networks: networks, setting: setting, measure: measure}, cut, depth_b, affine_top, probe_only, same_as
        ) AS cut_kind
    FROM stitched_and_compared
),
with_control AS (
    SELECT
        *,
        is_compared(
            {
                networks: networks, setting: setting, measure: measure, cut: cut, cut_kind: cut_kind, depth_a: depth_a,
                depth_b: depth_b
            },
            net_penalty
        ) AS is_compared
    FROM by_kind
),
means AS (
    SELECT
        networks, setting, measure, cut, cut_kind, depth_a, depth_b,
        count(DISTINCT (a, b)) FILTER (NOT is_compared) AS pairs_without_control,
        ci(a, b, net_penalty, correct, own_correct) AS net,
        ci(a, b, CASE WHEN is_compared THEN penalty END, correct, b_correct) AS penalty,
        ci(a, b, CASE WHEN is_compared THEN value END) AS similarity
    FROM with_control
    GROUP BY ALL
)
SELECT
    networks.*, measure, cut, cut_kind, depth_b AS depth, penalty.n_pairs AS pairs, pairs_without_control,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high,
    similarity.mean AS similarity, similarity.lo AS similarity_low, similarity.hi AS similarity_high,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    coalesce(net.images, penalty.images) AS test_images, setting.*
FROM means
ORDER BY networks, setting.data <> 'top', setting, measure, cut_kind IS NOT NULL, depth_b, depth_a
