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
described AS (  -- other: null where all models with equal values in the columns before it agree in it
    SELECT * REPLACE (CASE WHEN count(DISTINCT other) OVER equal_columns > 1 THEN other END AS other)
    FROM recipes
    WINDOW equal_columns AS (PARTITION BY dataset, arch, width, samples, steps, options)
),
networks AS MATERIALIZED (  -- the numbers of their settings
    SELECT *, dense_rank() OVER (ORDER BY dataset, arch, width, samples, steps, options, nested, other) AS network
    FROM described
),
stitched AS NOT MATERIALIZED (
    FROM numbered_stitches('networks', $images)
),
places AS (
    SELECT
        *, {
            a: a_network, b: b_network, relation: relation, data_digest: left(data_digest, 12), stitching: stitching
        } AS key
    FROM stitched_places('stitched')
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
    SELECT cells.cell, s.a, s.b, s.gain, s.net_gain, s.correct, s.b_correct, s.own_correct
    FROM stitched AS s
    JOIN cells USING (place)
),
cells_with_control AS (
    SELECT cell, bool_or(net_gain IS NOT NULL) AS has_control
    FROM stitches_of_cells
    GROUP BY cell
),
penalties AS (
    SELECT
        cell,
        count(DISTINCT a::BIGINT << 32 | b) FILTER (has_control AND net_gain IS NULL) AS pairs_without_control,
        ci_by_number(a, b, -net_gain, correct, own_correct) AS net,
        ci_by_number(
            a, b, CASE WHEN net_gain IS NOT NULL OR NOT has_control THEN -gain END, correct, b_correct
        ) AS penalty
    FROM stitches_of_cells
    JOIN cells_with_control USING (cell)
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
            relation: key.relation, a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: key.data_digest,
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            stitcher: stitching.stitcher, stitcher_options: stitching.stitcher_options, protocol: stitching.protocol,
            data: stitching.data, max_steps: stitching.max_steps, batch: stitching.batch, lr: stitching.lr,
            augment: stitching.augment, stop: stitching.stop, sender: stitching.sender, train: stitching.train,
            nested: bottom.nested OR top.nested
        } AS setting,
        cell, cut, cut_kind, depth_a, depth_b
    FROM cells
    JOIN settings AS bottom ON bottom.network = cells.a_network
    JOIN settings AS top ON top.network = cells.b_network
)
SELECT
    networks.*, cut, cut_kind, depth_b AS depth, penalty.n_pairs AS pairs, pairs_without_control,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    coalesce(net.images, penalty.images) AS test_images, setting.*
FROM penalties
JOIN described_cells USING (cell)
ORDER BY networks, setting.data <> 'top', setting, cut_kind IS NOT NULL, depth_b, depth_a, cut
