-- question: Do the protocols `paper` and `strict` disagree?
-- one row per: setting of A, setting of B, settings of the two protocols, and cut: first the verdict on all cuts
--   together, then each cut; last come cuts with a cut kind, which have no verdict and count in none: at a probe of A,
--   all layers of B after the cut are affine; at the same as another cut, the networks are the same
-- read it as: in `strict` both networks are frozen, in `paper` their norm statistics change while the stitcher is
--   trained. The extra net gain is the net gain by `paper` minus that by `strict`, of the same pair of models and cut,
--   with the same stitcher, data and seed; each net gain is without the gain of B into itself by its own protocol. What
--   else differs between the protocols (steps, batch, learning rate, augmentation) is a part of the difference. The two
--   net gains are means over the same pairs
-- rule: agree: the interval of the extra net gain of each cut lies between minus the margin and the margin; disagree:
--   that of some cut lies above or below; undecided: neither, or fewer than 2 runs per side; no control: B was not
--   stitched to itself by both protocols. Intervals of the cuts of one comparison hold together in 95 % (Bonferroni;
--   confidence is the level of each); the statistical units are training runs. Every cut: the interval of the cut that
--   decides, or of the one that reaches farthest from 0. Other rows of the store change no verdict
-- parameter: margin = 1.0 (points; a smaller difference counts as none)
-- sections: a_arch, a_width, a_samples, a_steps, b_arch, b_width, b_samples, b_steps
-- settings: a_arch, b_arch, a_dataset, b_dataset, data_digest, a_options, b_options, a_other, b_other, stitcher,
--   stitcher_options, data, sender, train, strict_training, paper_training, nested
-- answer: Protocols: {verdict}. Of A ({a_arch}, width {a_width}, {a_samples} images, {a_steps} steps) into B ({b_arch},
--   width {b_width}, {b_samples} images, {b_steps} steps) `paper` gives an extra net gain of {extra_net_gain} over
--   `strict` at the cut that differs most
-- shown: cut, depth, pairs, extra_net_gain, verdict
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
pairs_of_both AS MATERIALIZED (
    SELECT a AS a_task, b AS b_task
    FROM stitches
    WHERE a <> b AND sender = 'network'
    GROUP BY a, b
    HAVING bool_or(protocol = 'paper') AND bool_or(protocol = 'strict')
),
stitched AS MATERIALIZED (
    SELECT
        *,
        hash(
            a_task, b_task, a_weights, b_weights, cut_a, cut_b, data_digest, seed, stitching.stitcher,
            stitching.stitcher_options, stitching.data, stitching.sender, stitching.train
        ) AS counterpart
    FROM numbered_stitches('networks', 'fixed')
    SEMI JOIN pairs_of_both USING (a_task, b_task)
    WHERE sender = 'network' AND relation = 'other run'
),
places AS MATERIALIZED (
    FROM stitched_places('stitched')
),
compared AS MATERIALIZED (
    SELECT
        strict.place, paper.place AS paper_place, strict.a, strict.b,
        paper.net_gain - strict.net_gain AS extra,
        CASE WHEN extra IS NOT NULL THEN paper.net_gain END AS paper_net_gain,
        CASE WHEN extra IS NOT NULL THEN strict.net_gain END AS strict_net_gain
    FROM stitched AS strict
    JOIN stitched AS paper USING (counterpart)
    WHERE strict.stitching.protocol = 'strict' AND paper.stitching.protocol = 'paper'
),
keys AS (
    SELECT
        strict.place, paper.place AS paper_place, strict.cut, strict.depth_a, strict.depth_b, strict.same_as,
        strict.affine_top OR paper.affine_top AS affine_top, strict.probe_only OR paper.probe_only AS probe_only,
        {
            a: strict.a_network, b: strict.b_network, data_digest: left(strict.data_digest, 12),
            strict: strict.stitching, paper: paper.stitching
        } AS key
    FROM (SELECT DISTINCT place, paper_place FROM compared) AS c
    JOIN places AS strict USING (place)
    JOIN places AS paper ON paper.place = c.paper_place
),
cells AS MATERIALIZED (
    SELECT
        *, cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) AS cut_kind,
        dense_rank() OVER (ORDER BY key, cut, depth_a, depth_b, same_as) AS cell
    FROM keys
),
intervals_of_cells AS (
    SELECT
        cells.cell, ci_by_number(c.a, c.b, c.extra, NULL, NULL) AS extra,
        ci_by_number(c.a, c.b, c.paper_net_gain, NULL, NULL).mean AS paper_net_gain,
        ci_by_number(c.a, c.b, c.strict_net_gain, NULL, NULL).mean AS strict_net_gain,
        count(DISTINCT c.a::BIGINT << 32 | c.b) FILTER (c.extra IS NULL) AS pairs_without_control
    FROM compared AS c
    JOIN cells USING (place, paper_place)
    GROUP BY cells.cell
),
cuts AS MATERIALIZED (
    SELECT
        c.key, c.cut, c.cut_kind, c.depth_b AS depth, i.* EXCLUDE (cell, extra), i.extra.n_a AS runs_a,
        i.extra.n_b AS runs_b, i.extra.n_pairs AS pairs,
        simultaneous(
            i.extra,
            CASE WHEN c.cut_kind IS NULL
                THEN greatest(count(i.extra.lo) FILTER (c.cut_kind IS NULL) OVER (PARTITION BY c.key), 1) ELSE 1 END
        ) AS extra
    FROM intervals_of_cells AS i
    JOIN (SELECT DISTINCT ON (cell) * FROM cells) AS c USING (cell)
),
decided_cuts AS (
    SELECT
        *,
        CASE
            WHEN extra.mean IS NULL THEN 'no control'
            WHEN extra.lo > $margin OR extra.hi < -$margin THEN 'disagree'
            WHEN extra.lo >= -$margin AND extra.hi <= $margin THEN 'agree'
            ELSE 'undecided'
        END AS verdict,
        greatest(extra.lo, -extra.hi) AS distance, greatest(extra.hi, -extra.lo) AS reach
    FROM cuts
    WHERE cut_kind IS NULL
),
every_cut AS (
    SELECT
        key, '(every cut)' AS cut, NULL::DOUBLE AS depth, min(runs_a) AS runs_a, min(runs_b) AS runs_b,
        CASE
            WHEN bool_or(verdict = 'disagree') THEN 'disagree'
            WHEN bool_and(verdict = 'no control') THEN 'no control'
            WHEN bool_and(verdict = 'agree') THEN 'agree'
            ELSE 'undecided'
        END AS verdict,
        CASE
            WHEN bool_or(verdict = 'disagree') THEN arg_max(extra, distance)
            ELSE coalesce(arg_max(extra, reach), arg_max(extra, abs(extra.mean)))
        END AS extra
    FROM decided_cuts
    GROUP BY key
),
rows_of_table AS (
    SELECT *, 0 AS place FROM every_cut
    UNION ALL BY NAME
    SELECT * EXCLUDE (distance, reach), 1 AS place FROM decided_cuts
    UNION ALL BY NAME
    SELECT *, 2 AS place FROM cuts WHERE cut_kind IS NOT NULL
),
settings AS (
    SELECT DISTINCT * EXCLUDE (task, draw)
    FROM networks
),
described_rows AS (
    SELECT
        r.*,
        {
            a_arch: bottom.arch, a_width: bottom.width, a_samples: bottom.samples, a_steps: bottom.steps,
            b_arch: top.arch, b_width: top.width, b_samples: top.samples, b_steps: top.steps
        } AS networks,
        {
            a_dataset: bottom.dataset, b_dataset: top.dataset, data_digest: key.data_digest,
            a_options: bottom.options, b_options: top.options, a_other: bottom.other, b_other: top.other,
            stitcher: key.strict.stitcher, stitcher_options: key.strict.stitcher_options, data: key.strict.data,
            sender: key.strict.sender, train: key.strict.train,
            strict_training: concat_ws(
                ', ', concat(key.strict.max_steps, ' steps'), concat('batch ', key.strict.batch),
                concat('lr ', key.strict.lr), concat('augment ', key.strict.augment), concat('stop ', key.strict.stop)
            ),
            paper_training: concat_ws(
                ', ', concat(key.paper.max_steps, ' steps'), concat('batch ', key.paper.batch),
                concat('lr ', key.paper.lr), concat('augment ', key.paper.augment), concat('stop ', key.paper.stop)
            ),
            nested: bottom.nested OR top.nested
        } AS setting
    FROM rows_of_table AS r
    JOIN settings AS bottom ON bottom.network = key.a
    JOIN settings AS top ON top.network = key.b
)
SELECT
    networks.*, cut, cut_kind, depth, runs_a, runs_b, pairs, pairs_without_control,
    extra.mean AS extra_net_gain, extra.lo AS extra_net_gain_low, extra.hi AS extra_net_gain_high, verdict,
    extra.confidence, paper_net_gain, strict_net_gain, setting.*
FROM described_rows
ORDER BY networks, setting.data <> 'top', setting, place, depth, cut
