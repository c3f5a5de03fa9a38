-- question: What does the stitcher bring by itself?
-- one row per: setting of B, and cut: B is stitched to itself, so that all of the gain is the stitcher's own
-- read it as: the gain is B's error minus that of B stitched to itself, in points. Above 0, the stitcher has learned
--   something that B has not, from more images than B's if `data` isn't top; below 0, it doesn't even pass B's own
--   activations on without loss. Net gains and net penalties of the other tables are without this gain. Drift and
--   agreement are means of the columns of `stitches`, converged is the percentage of stitches that converged. Cut kind:
--   at a probe of A, all layers of B after the cut are affine; at the same as another cut, the networks are the same.
--   Intervals are at 95 %, and not corrected for the number of rows
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, dataset, data_digest, options, other, stitcher, stitcher_options, protocol, data, max_steps, batch,
--   lr, augment, stop, train, nested
-- in all: {rows} mean gains of a B that is stitched to itself, from {least gain} to {most gain} points, without a
--   verdict
-- shown: cut, depth, runs, gain, agreement
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
settings AS MATERIALIZED (  -- the numbers of their settings
    SELECT *, dense_rank() OVER (ORDER BY dataset, arch, width, samples, steps, options, nested, other) AS network
    FROM described
),
stitched AS MATERIALIZED (
    SELECT
        settings.network, dense_rank() OVER (ORDER BY settings.draw)::INTEGER AS model, s.cut_b AS cut, s.depth_b,
        s.affine_top, s.probe_only, s.same_as, s.data_digest,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, train: s.train
        } AS stitching,
        s.gain, s.drift, s.agreement,
        CASE WHEN s.protocol = 'strict' AND s.max_steps > 0 THEN s.converged::INTEGER END AS converged,
        CASE WHEN $images = 'sampled' THEN reference(s.correct) END AS correct,
        CASE WHEN $images = 'sampled' THEN reference(s.b_correct) END AS b_correct
    FROM stitches AS s
    JOIN settings ON settings.task = s.b
    WHERE s.a = s.b AND s.a_weights = s.b_weights AND s.cut_a = s.cut_b AND s.sender = 'network'
    QUALIFY row_number() OVER (  -- a change of the kernel version runs the same stitch again; the latest counts
        PARTITION BY s.b, s.b_weights, s.cut_b, s.data_digest, s.seed, stitching ORDER BY s."at" DESC, s.task
    ) = 1
),
places AS (
    SELECT
        network, data_digest, stitching, cut, depth_b, any_value(same_as) AS same_as,
        bool_or(affine_top) AS affine_top, bool_or(probe_only) AS probe_only,
        count(DISTINCT model) AS runs, avg(drift) AS drift, avg(agreement) AS agreement,
        100 * avg(converged) AS converged, ci_by_number(model, model, gain, correct, b_correct) AS own
    FROM stitched
    GROUP BY network, data_digest, stitching, cut, depth_b
),
places_by_kind AS (
    SELECT
        *,
        cut_kind(
            {network: network, data_digest: data_digest, stitching: stitching}, cut, depth_b, affine_top, probe_only,
            same_as
        ) AS cut_kind
    FROM places
),
described_settings AS (SELECT DISTINCT * EXCLUDE (task, draw) FROM settings)
SELECT
    d.arch, d.width, d.samples, d.steps, p.cut, p.cut_kind, p.depth_b AS depth, p.runs, p.own.mean AS gain,
    p.own.lo AS gain_low, p.own.hi AS gain_high, p.drift, p.agreement, p.converged, p.own.images AS test_images,
    d.dataset, left(p.data_digest, 12) AS data_digest, d.options, d.other, stitching.*, d.nested
FROM places_by_kind AS p
JOIN described_settings AS d USING (network)
ORDER BY
    d.arch, d.width, d.samples, d.steps, p.stitching.data <> 'top', d.network, p.stitching, p.cut_kind IS NOT NULL,
    p.depth_b, p.cut
