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
described AS (  -- other: null where all models with equal values in the columns before it agree in it
    SELECT * REPLACE (CASE WHEN count(DISTINCT other) OVER equal_columns > 1 THEN other END AS other)
    FROM recipes
    WINDOW equal_columns AS (PARTITION BY dataset, arch, width, samples, steps, options)
),
networks AS MATERIALIZED (  -- the numbers of their settings
    SELECT *, dense_rank() OVER (ORDER BY dataset, arch, width, samples, steps, options, nested, other) AS network
    FROM described
),
compared AS MATERIALIZED (  -- similarities of pairs at cuts, to be joined with stitches of the same weights
    SELECT
        a AS a_task, b AS b_task, a_weights, b_weights, cut_a, cut_b, data_digest,
        concat_ws(' ', measure, nullif(translate(options, '{}"', ''), '')) AS measure, samples AS images, value
    FROM similarities
),
stitched AS MATERIALIZED (
    SELECT
        hash(s.place, c.measure, c.images) AS place, c.measure, c.images, c.value,
        s.a, s.b, s.a_network, s.b_network, s.relation, s.data_digest, s.stitching, s.cut_a, s.cut_b,
        s.depth_a, s.depth_b, s.affine_top, s.probe_only, s.same_as,
        s.gain, s.net_gain, s.correct, s.b_correct, s.own_correct
    FROM numbered_stitches('networks', $images) AS s
    JOIN compared AS c USING (a_task, b_task, a_weights, b_weights, cut_a, cut_b, data_digest)
    WHERE s.sender = 'network' AND s.relation = 'other run'
),
measures AS (
    SELECT place, any_value(measure) AS measure, any_value(images) AS images
    FROM stitched
    GROUP BY place
),
places AS (
    SELECT
        *, {
            a: a_network, b: b_network, data_digest: left(data_digest, 12), images: images, stitching: stitching,
            measure: measure
        } AS key
    FROM stitched_places('stitched')
    JOIN measures USING (place)
),
places_by_kind AS (
    SELECT *, cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind
    FROM places
),
cells AS MATERIALIZED (  -- a cell is a row of the table
    SELECT *, dense_rank() OVER (ORDER BY key, cut, cut_kind, depth_a, depth_b) AS cell
    FROM places_by_kind
),
stitches_of_cells AS NOT MATERIALIZED (
    SELECT cells.cell, s.a, s.b, s.gain, s.net_gain, s.value, s.correct, s.b_correct, s.own_correct
    FROM stitched AS s
    JOIN cells USING (place)
),
cells_with_control AS (
    SELECT cell, bool_or(net_gain IS NOT NULL) AS has_control
    FROM stitches_of_cells
    GROUP BY cell
),
stitches_with_control AS (
    SELECT *, net_gain IS NOT NULL OR NOT has_control AS is_compared
    FROM stitches_of_cells
    JOIN cells_with_control USING (cell)
),
means AS (
    SELECT
        cell, count(DISTINCT a::BIGINT << 32 | b) FILTER (NOT is_compared) AS pairs_without_control,
        ci_by_number(a, b, -net_gain, correct, own_correct) AS net,
        ci_by_number(a, b, CASE WHEN is_compared THEN -gain END, correct, b_correct) AS penalty,
        ci_by_number(a, b, CASE WHEN is_compared THEN value END, NULL, NULL) AS similarity
    FROM stitches_with_control
    GROUP BY cell
),
settings AS (
    SELECT DISTINCT * EXCLUDE (task, draw)
    FROM networks
),
described_cells AS (
    SELECT DISTINCT ON (cell)
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: key.data_digest,
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            images: images, stitcher: stitching.stitcher, stitcher_options: stitching.stitcher_options,
            protocol: stitching.protocol, data: stitching.data, max_steps: stitching.max_steps,
            batch: stitching.batch, lr: stitching.lr, augment: stitching.augment, stop: stitching.stop,
            sender: stitching.sender, train: stitching.train, nested: bottom.nested OR top.nested
        } AS setting,
        measure, cell, cut, cut_kind, depth_a, depth_b
    FROM cells
    JOIN settings AS bottom ON bottom.network = cells.a_network
    JOIN settings AS top ON top.network = cells.b_network
)
SELECT
    networks.*, measure, cut, cut_kind, depth_b AS depth, penalty.n_pairs AS pairs, pairs_without_control,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high,
    similarity.mean AS similarity, similarity.lo AS similarity_low, similarity.hi AS similarity_high,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    coalesce(net.images, penalty.images) AS test_images, setting.*
FROM means
JOIN described_cells USING (cell)
ORDER BY networks, setting.data <> 'top', setting, measure, cut_kind IS NOT NULL, depth_b, depth_a, cut
