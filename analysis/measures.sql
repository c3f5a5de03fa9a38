-- question: Which similarity measures agree with stitching?
-- one row per: setting of A, setting of B, and measure with its options
-- read it as: the correlation is Spearman's rank correlation of the similarity with the net gain over the cuts of a
--   pair of models, averaged over pairs. At 1, a cut at which the two are more alike is always one at which A serves
--   B's top better (a higher net gain, which is a lower net penalty); at -1 it is always the reverse. Only pairs with
--   both values at 3 cuts or more count, and no cuts with a cut kind (probes of A, and repetitions of another cut).
--   Cuts is the mean number of cuts of a pair
-- rule: agrees: the interval of the correlation lies above 0; opposite: it lies below 0; undecided: it contains 0, or
--   fewer than 2 runs per side. The statistical units are training runs. Intervals of the measures of one comparison
--   hold together in 95 % (Bonferroni; confidence is the level of each). Other rows of the store change no verdict
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps
-- settings: a_arch, b_arch, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other, images,
--   stitcher, stitcher_options, protocol, data, max_steps, batch, lr, augment, stop, train, nested
-- answer: Agreement of {measure}: {verdict}. Its rank correlation with net gains over cuts is {correlation}
-- shown: measure, cuts, pairs, correlation, verdict
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
        s.place, s.a, s.b, s.a_network, s.b_network, s.relation, s.data_digest, s.stitching, s.cut_a, s.cut_b,
        s.depth_a, s.depth_b, s.affine_top, s.probe_only, s.same_as, s.net_gain, c.measure, c.images, c.value
    FROM numbered_stitches('networks', 'fixed') AS s
    JOIN compared AS c USING (a_task, b_task, a_weights, b_weights, cut_a, cut_b, data_digest)
    WHERE s.sender = 'network' AND s.relation = 'other run'
),
keys AS (
    SELECT *, {a: a_network, b: b_network, data_digest: left(data_digest, 12), stitching: stitching} AS key
    FROM stitched_places('stitched')
),
places AS MATERIALIZED (
    SELECT place, cut, key, dense_rank() OVER (ORDER BY key) AS comparison
    FROM keys
    QUALIFY cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) IS NULL
),
points AS (  -- a pair of models at a cut; seeds of the stitcher are averaged
    SELECT p.comparison, s.measure, s.images, s.a, s.b, p.cut, avg(s.net_gain) AS net_gain, avg(s.value) AS similarity
    FROM stitched AS s
    JOIN places AS p USING (place)
    WHERE s.net_gain IS NOT NULL AND isfinite(s.value)
    GROUP BY ALL
),
ranks AS (  -- equal values have the mean of their ranks
    SELECT
        comparison, measure, images, a, b,
        rank() OVER (pair ORDER BY net_gain) + (count(*) OVER equal_net_gains - 1) / 2 AS net_rank,
        rank() OVER (pair ORDER BY similarity) + (count(*) OVER equal_similarities - 1) / 2 AS similarity_rank
    FROM points
    WINDOW
        pair AS (PARTITION BY comparison, measure, images, a, b),
        equal_net_gains AS (PARTITION BY comparison, measure, images, a, b, net_gain),
        equal_similarities AS (PARTITION BY comparison, measure, images, a, b, similarity)
),
correlations AS (
    SELECT
        comparison, measure, images, a, b, count(*) AS cuts,
        CASE WHEN stddev_pop(net_rank) > 0 AND stddev_pop(similarity_rank) > 0 THEN corr(net_rank, similarity_rank) END
            AS correlation
    FROM ranks
    GROUP BY comparison, measure, images, a, b
    HAVING count(*) >= 3
),
estimates AS (
    SELECT
        comparison, measure, images, avg(cuts) FILTER (correlation IS NOT NULL) AS cuts,
        ci_by_number(a, b, correlation, NULL, NULL) AS estimate
    FROM correlations
    GROUP BY comparison, measure, images
),
intervals AS (
    SELECT
        * EXCLUDE estimate, estimate.n_a AS runs_a, estimate.n_b AS runs_b, estimate.n_pairs AS pairs,
        simultaneous(estimate, greatest(count(estimate.lo) OVER (PARTITION BY comparison, images), 1)) AS correlation
    FROM estimates
    WHERE estimate.mean IS NOT NULL
),
settings AS (
    SELECT DISTINCT * EXCLUDE (task, draw)
    FROM networks
),
described_intervals AS (
    SELECT
        i.*,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: key.data_digest,
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            images: i.images, stitcher: key.stitching.stitcher, stitcher_options: key.stitching.stitcher_options,
            protocol: key.stitching.protocol, data: key.stitching.data, max_steps: key.stitching.max_steps,
            batch: key.stitching.batch, lr: key.stitching.lr, augment: key.stitching.augment,
            stop: key.stitching.stop, train: key.stitching.train, nested: bottom.nested OR top.nested
        } AS setting
    FROM intervals AS i
    JOIN (SELECT DISTINCT comparison, key FROM places) AS c USING (comparison)
    JOIN settings AS bottom ON bottom.network = key.a
    JOIN settings AS top ON top.network = key.b
)
SELECT
    networks.*, measure, cuts, runs_a, runs_b, pairs,
    correlation.mean AS correlation, correlation.lo AS correlation_low, correlation.hi AS correlation_high,
    CASE WHEN correlation.lo > 0 THEN 'agrees' WHEN correlation.hi < 0 THEN 'opposite' ELSE 'undecided' END AS verdict,
    correlation.confidence, setting.*
FROM described_intervals
ORDER BY networks, setting.data <> 'top', setting, correlation.mean DESC, measure
