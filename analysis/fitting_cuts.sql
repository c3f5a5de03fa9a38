-- question: Which cut of A fits which cut of B?
-- one row per: setting of A, setting of B, cut of B, and cut of A, if some cuts of the two differ
-- read it as: the net penalty is the penalty of A up to its cut and B after its own (stitched error minus B's own, in
--   points) minus that of B into itself at the cut of B, with the same stitcher, data and seed. The less it is, the
--   better the layers of A up to this cut stand in for those of B. Best fit: the least mean net penalty at this cut of
--   B; cuts whose intervals overlap with it may fit as well. The penalty also contains what the stitcher itself has
--   learned. Cut kind: at a probe of A, all layers of B after the cut are affine, so that B is no more than a linear
--   classifier. Intervals are at 95 %, and not corrected for the number of rows
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps
-- settings: a_arch, b_arch, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other, stitcher,
--   stitcher_options, protocol, data, max_steps, batch, lr, augment, stop, sender, train, nested
-- in all: {rows} pairs of a cut of B and a cut of A, with mean net penalties from {least net_penalty} to
--   {most net_penalty} points, without a verdict
-- shown: cut_b, cut_a, pairs, net_penalty, best_fit
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
crossed AS MATERIALIZED (
    SELECT DISTINCT a AS a_task, b AS b_task
    FROM stitches
    WHERE a <> b AND cut_a <> cut_b AND sender = 'network'
),
stitched AS MATERIALIZED (
    FROM numbered_stitches('networks', $images)
    SEMI JOIN crossed USING (a_task, b_task)
    WHERE sender = 'network' AND relation = 'other run'
),
keys AS (
    SELECT
        *, {a: a_network, b: b_network, data_digest: left(data_digest, 12), stitching: stitching} AS key
    FROM stitched_places('stitched')
),
places AS MATERIALIZED (
    SELECT
        *,
        CASE WHEN bool_or(probe_only) OVER cuts_of_b THEN 'linear probe of A'
            WHEN bool_or(affine_top) OVER cuts_of_b THEN 'probe of A' END AS cut_kind
    FROM keys
    WINDOW cuts_of_b AS (PARTITION BY key, cut_b)
    QUALIFY bool_or(cut_a <> cut_b) OVER (PARTITION BY key)
),
cells AS MATERIALIZED (  -- a cell is a row of the table
    SELECT *, dense_rank() OVER (ORDER BY key, cut_b, depth_b, cut_a, depth_a) AS cell
    FROM places
),
stitches_of_cells AS MATERIALIZED (
    SELECT
        cells.cell, s.a, s.b, s.gain, s.net_gain, s.correct, s.b_correct, s.own_correct,
        is_compared(cells.cell, s.net_gain) AS is_compared
    FROM stitched AS s
    JOIN cells USING (place)
),
penalties AS (
    SELECT
        cell, count(DISTINCT a::BIGINT << 32 | b) FILTER (NOT is_compared) AS pairs_without_control,
        ci_by_number(a, b, -net_gain, correct, own_correct) AS net,
        ci_by_number(a, b, CASE WHEN is_compared THEN -gain END, correct, b_correct) AS penalty
    FROM stitches_of_cells
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
            stitcher: stitching.stitcher, stitcher_options: stitching.stitcher_options, protocol: stitching.protocol,
            data: stitching.data, max_steps: stitching.max_steps, batch: stitching.batch, lr: stitching.lr,
            augment: stitching.augment, stop: stitching.stop, sender: stitching.sender, train: stitching.train,
            nested: bottom.nested OR top.nested
        } AS setting,
        cell, key, cut_a, cut_b, cut_kind, depth_a, depth_b
    FROM cells
    JOIN settings AS bottom ON bottom.network = cells.a_network
    JOIN settings AS top ON top.network = cells.b_network
)
SELECT
    networks.*, cut_b, cut_a, cut_kind, depth_b, depth_a, penalty.n_a AS runs_a, penalty.n_b AS runs_b,
    penalty.n_pairs AS pairs, pairs_without_control,
    net.mean AS net_penalty, net.lo AS net_penalty_low, net.hi AS net_penalty_high,
    net.mean = min(net.mean) OVER (PARTITION BY key, cut_b, depth_b) AS best_fit,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    coalesce(net.images, penalty.images) AS test_images, setting.*
FROM penalties
JOIN described_cells USING (cell)
ORDER BY networks, setting.data <> 'top', setting, depth_b, cut_b, depth_a, cut_a
