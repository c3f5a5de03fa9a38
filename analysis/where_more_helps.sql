-- question: Where in depth does more help most?
-- one row per: what A has more of than B (data, width or training, and nothing else differs but seeds), its levels,
--   and cut: first the cut with the largest net gain, then each cut, if there are two or more. Cuts with a cut kind
--   (probes of A, and repetitions of another cut) aren't shown
-- read it as: the net gain is the gain of A into B minus the gain of B into itself, with the same stitcher, data and
--   seed: how much more helps at this cut. Behind gain is the net gain of a cut minus that of the cut with the largest
--   mean, over the same pairs. May be largest names the cuts of which the data don't say that they have a smaller one
-- rule: in the first row, the cut with the largest net gain if each other cut is less, else undecided. Of a cut,
--   largest: it has the largest mean; less: the interval of its behind gain lies below 0; undecided: it doesn't, or
--   fewer than 2 runs per side. The statistical units are training runs. Intervals of the net gains of a comparison's
--   cuts hold together in 95 % (Bonferroni; confidence is the level of each), and so do the differences between any two
--   of its cuts, whose intervals treat the test images as fixed. Other rows of the store change no verdict
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: more, a_level, b_level
-- settings: samples, width, steps, dataset, data_digest, arch, options, nested, label_noise, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
-- answer: More {more} helps most at: {verdict}. With {a_level} against {b_level} the largest net gain is {net_gain},
--   at {peak}
-- shown: cut, depth, pairs, net_gain, verdict
WITH recipes AS (
    SELECT
        task, samples, width, steps, schedule_steps,
        {
            dataset: dataset, data_digest: left(data_digest, 12), arch: arch,
            options: json_merge_patch(options, '{"width": null}'), nested: nested, label_noise: label_noise,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
    WHERE steps > 0
),
networks AS MATERIALIZED (  -- the numbers of their settings
    SELECT *, dense_rank() OVER (ORDER BY recipe, samples, width, steps, schedule_steps) AS network
    FROM recipes
),
settings AS MATERIALIZED (SELECT DISTINCT * EXCLUDE task FROM networks),
contrasts AS MATERIALIZED (
    SELECT
        bottom.network AS a_network, top.network AS b_network, top.recipe,
        CASE
            WHEN bottom.samples > top.samples THEN 'data'
            WHEN bottom.width > top.width THEN 'width'
            ELSE 'training'
        END AS more,
        CASE more
            WHEN 'data' THEN [bottom.samples::VARCHAR, concat(top.samples, ' images')]
            WHEN 'width' THEN [concat('width ', bottom.width), top.width::VARCHAR]
            ELSE [bottom.steps::VARCHAR, concat(top.steps, ' steps')]
        END AS levels,
        bottom.samples AS a_samples, bottom.width AS a_width, bottom.steps AS a_steps,
        {
            samples: CASE WHEN more <> 'data' THEN top.samples END, width: CASE WHEN more <> 'width' THEN top.width END,
            steps: CASE WHEN more <> 'training' THEN top.steps END
        } AS equal
    FROM settings AS bottom
    JOIN settings AS top USING (recipe)
    WHERE
        bottom.samples >= top.samples AND (bottom.width >= top.width OR bottom.width IS NOT DISTINCT FROM top.width)
        AND bottom.steps >= top.steps
        AND (bottom.schedule_steps = top.schedule_steps OR bottom.steps > top.steps)
        AND (bottom.samples > top.samples)::INTEGER + coalesce(bottom.width > top.width, false)::INTEGER
            + (bottom.steps > top.steps)::INTEGER = 1
),
stitched AS NOT MATERIALIZED (
    FROM numbered_stitches('networks', $images)
    SEMI JOIN contrasts USING (a_network, b_network)
    WHERE sender = 'network' AND relation = 'other run' AND cut_a = cut_b
),
keys AS (
    SELECT *, {a: a_network, b: b_network, data_digest: left(data_digest, 12), stitching: stitching} AS key
    FROM stitched_places('stitched')
),
places AS MATERIALIZED (
    SELECT
        place, key, cut, depth_b AS depth, dense_rank() OVER (ORDER BY key)::INTEGER AS comparison,
        dense_rank() OVER (ORDER BY key, cut, depth_b)::INTEGER AS cell
    FROM keys
    QUALIFY cut_kind(key, cut, depth_b, affine_top, probe_only, same_as) IS NULL
),
stitches_of_cells AS MATERIALIZED (
    SELECT p.comparison, p.cell, s.a, s.b, s.net_gain, s.correct, s.own_correct
    FROM stitched AS s
    JOIN places AS p USING (place)
    WHERE s.net_gain IS NOT NULL
),
nets AS (
    SELECT comparison, cell, ci_by_number(a, b, net_gain, correct, own_correct) AS net
    FROM stitches_of_cells
    GROUP BY comparison, cell
),
cells AS MATERIALIZED (
    SELECT
        *, arg_max(cell, net.mean) OVER of_comparison AS best, count(*) OVER of_comparison AS cuts,
        greatest(count(net.lo) OVER of_comparison, 1) AS family_size
    FROM nets
    WINDOW of_comparison AS (PARTITION BY comparison)
    QUALIFY cuts > 1
),
pairs AS (
    SELECT s.cell, s.a, s.b, avg(s.net_gain) AS net_gain
    FROM stitches_of_cells AS s
    GROUP BY s.cell, s.a, s.b
),
differences AS (
    SELECT c.cell, ci_by_number(p.a, p.b, p.net_gain - best.net_gain, NULL, NULL) AS behind
    FROM cells AS c
    JOIN pairs AS p ON p.cell = c.cell
    JOIN pairs AS best ON best.cell = c.best AND best.a = p.a AND best.b = p.b
    WHERE c.cell <> c.best
    GROUP BY c.cell
),
cuts AS MATERIALIZED (
    SELECT
        c.comparison, c.cell, c.best, c.net.n_a AS runs_a, c.net.n_b AS runs_b, c.net.n_pairs AS pairs, c.net.images,
        simultaneous(c.net, c.family_size) AS net,
        simultaneous(d.behind, greatest(c.family_size * (c.family_size - 1) // 2, 1)) AS behind,
        CASE WHEN c.cell = c.best THEN 'largest' WHEN behind.hi < 0 THEN 'less' ELSE 'undecided' END AS verdict
    FROM cells AS c
    LEFT JOIN differences AS d USING (cell)
),
named_cells AS (SELECT DISTINCT ON (cell) cell, key, cut, depth FROM places),
named_cuts AS (
    SELECT cuts.*, n.key, n.cut, n.depth
    FROM cuts
    JOIN named_cells AS n USING (cell)
),
largest AS (
    SELECT
        comparison, any_value(key) AS key, '(largest)' AS cut, NULL::DOUBLE AS depth,
        any_value(cut) FILTER (cell = best) AS peak,
        string_agg(cut, ', ' ORDER BY depth) FILTER (verdict <> 'less') AS may_be_largest,
        any_value(runs_a) FILTER (cell = best) AS runs_a, any_value(runs_b) FILTER (cell = best) AS runs_b,
        any_value(pairs) FILTER (cell = best) AS pairs, any_value(images) FILTER (cell = best) AS images,
        any_value(net) FILTER (cell = best) AS net,
        CASE WHEN bool_or(verdict = 'undecided') THEN 'undecided' ELSE peak END AS verdict
    FROM named_cuts
    GROUP BY comparison
),
rows_of_table AS (
    SELECT *, 0 AS place FROM largest
    UNION ALL BY NAME
    SELECT * EXCLUDE (cell, best), 1 AS place FROM named_cuts
),
described_rows AS (
    SELECT r.*, c.more, c.levels, c.equal, c.recipe, c.a_samples, c.a_width, c.a_steps, r.key.stitching AS stitching
    FROM rows_of_table AS r
    JOIN contrasts AS c ON c.a_network = r.key.a AND c.b_network = r.key.b
)
SELECT
    more, levels[1] AS a_level, levels[2] AS b_level, cut, depth, peak, runs_a, runs_b, pairs,
    net.mean AS net_gain, net.lo AS net_gain_low, net.hi AS net_gain_high, verdict, net.confidence,
    behind.mean AS behind_gain, behind.lo AS behind_gain_low, behind.hi AS behind_gain_high, may_be_largest,
    images AS test_images, equal.*, recipe.*, stitching.*
FROM described_rows
ORDER BY
    more, equal, recipe, a_samples DESC, a_width DESC, a_steps DESC, key.b, stitching.data <> 'top', stitching, place,
    depth
