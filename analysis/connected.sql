-- question: Are networks that differ only in their seeds stitching-connected?
-- one row per: setting of the two networks, and cut: first the verdict on all cuts together, then each cut. Last come
--   cuts with a cut kind, which have no verdict and count in none: at a probe of A, all layers of B after the cut are
--   affine; at the same as another cut, the networks are the same
-- read it as: the net penalty is the penalty of A into B (stitched error minus B's own) minus the penalty of B into
--   itself, with the same stitcher, data and seed. Connected means that the data show a net penalty below the margin: A
--   serves B's top as well as B itself does, or better. A difference that is only not significant counts as undecided.
--   The penalty also contains what the stitcher itself has learned, from more images than B's if `data` isn't top, so
--   it has no verdict. Drift and agreement are means of the columns of `stitches`, converged is the percentage of
--   stitches that converged. Caveats are a drift above 1, less than 90 % that converged (*not converged*), and controls
--   without A's representation that do as well (see the table controls); of every cut, those of any cut
-- rule: connected: the interval of the net penalty lies below the margin; not connected: it lies above the margin;
--   undecided: it contains the margin, or fewer than 2 runs per side; no control: no B was stitched to itself. The
--   statistical units are training runs. Every cut: the largest net penalty of a cut, with its interval (95 % at all
--   looks together). If it is below the margin, each cut is connected. If it is above, cuts are read off intervals that
--   hold together in 95 % (Bonferroni; confidence is the level of each). If it is undecided, cuts are not tested. The
--   `looks` of these data are how often plans of runs brought them models or cuts: intervals hold at all looks
--   together, and each look has a wider one. Other rows of the store change no verdict. The interval of the penalty is
--   at 95 %
-- parameter: margin = 1.0 (points; a smaller net penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
-- answer: Other seeds: {verdict}. Two networks that differ only in their seeds ({arch}, width {width}, {samples}
--   images, {steps} steps): the largest net penalty of a cut is {net_penalty}
-- shown: cut, depth, net_penalty, verdict, caveats
WITH recipes AS MATERIALIZED (
    SELECT
        task,
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
networks AS MATERIALIZED (  -- the numbers of their recipes
    SELECT *, dense_rank() OVER (ORDER BY recipe) AS network
    FROM recipes
),
stitched AS NOT MATERIALIZED (
    FROM numbered_stitches('networks', $images)
    WHERE sender = 'network' AND relation = 'other run' AND cut_a = cut_b AND a_network = b_network
),
places_by_kind AS (
    SELECT *, cut_kind({network: a_network, stitching: stitching}, cut, depth_b, affine_top, probe_only, same_as)
        AS cut_kind
    FROM stitched_places('stitched')
),
cells AS MATERIALIZED (  -- a cell is a row of the table
    SELECT
        *, dense_rank() OVER (ORDER BY a_network, stitching, cut, cut_kind, depth_b) AS cell,
        dense_rank() OVER (ORDER BY a_network, stitching) AS family
    FROM places_by_kind
),
stitches_of_cells AS NOT MATERIALIZED (
    SELECT
        cells.family, cells.cell, s.a, s.b, s.gain, s.net_gain, s.correct, s.b_correct, s.own_correct,
        s.task, s.drift, s.agreement, s.converged, s.plan
    FROM stitched AS s
    JOIN cells USING (place)
),
looked_at AS MATERIALIZED (  -- for the number of looks
    SELECT family, family AS setting, a, b, cell AS cut, min(plan) AS plan
    FROM stitches_of_cells
    GROUP BY ALL
),
cells_with_control AS (
    SELECT cell, bool_or(net_gain IS NOT NULL) AS has_control
    FROM stitches_of_cells
    GROUP BY cell
),
intervals_of_cells AS (
    SELECT
        cell,
        count(DISTINCT a::BIGINT << 32 | b) FILTER (has_control AND net_gain IS NULL) AS pairs_without_control,
        ci_by_number(a, b, -net_gain, correct, own_correct) AS net,
        ci_by_number(
            a, b, CASE WHEN net_gain IS NOT NULL OR NOT has_control THEN -gain END, correct, b_correct
        ) AS penalty,
        avg(drift) AS drift, avg(agreement) AS agreement, 100 * avg(converged) AS converged,
        ci_by_number(a, b, c.label.gain - gain, c.label.correct, correct) AS label,
        ci_by_number(a, b, c.noise.gain - gain, c.noise.correct, correct) AS noise
    FROM stitches_of_cells
    JOIN cells_with_control USING (cell)
    LEFT JOIN sender_controls($images) AS c USING (task)
    GROUP BY cell
),
contrasts AS (
    SELECT r.recipe, c.stitching, looks.looks, c.cut, c.cut_kind, c.depth_b AS depth, i.* EXCLUDE cell
    FROM intervals_of_cells AS i
    JOIN (SELECT DISTINCT ON (cell) * FROM cells) AS c USING (cell)
    JOIN count_looks('looked_at') AS looks USING (family)
    JOIN (SELECT DISTINCT network, recipe FROM networks) AS r ON r.network = c.a_network
),
contrasts_with_caveats AS (
    SELECT
        * EXCLUDE (label, noise),
        caveats(
            [{control: 'label sender', extra: label}, {control: 'noise sender', extra: noise}],
            drift, converged, $margin
        ) AS caveats
    FROM contrasts
),
intervals AS (
    SELECT
        *, simultaneous(net, 1, looks) AS single,
        simultaneous(net, count(net.lo) OVER (PARTITION BY recipe, stitching), looks) AS simultaneous
    FROM contrasts_with_caveats
    WHERE cut_kind IS NULL
),
every_cut AS (  -- the interval of the largest net penalty of a cut
    SELECT
        recipe, stitching, '(every cut)' AS cut, NULL::DOUBLE AS depth, NULL::BIGINT AS pairs,
        min(penalty.n_a) AS runs_a, min(penalty.n_b) AS runs_b, any_value(looks) AS looks,
        {
            'mean': max(net.mean),
            'lo': max(simultaneous.lo),  -- the lower bounds are simultaneous: one of them is used because it is high
            'hi': CASE WHEN bool_and(net.hi IS NOT NULL) THEN max(single.hi) END,  -- each cut's own (Berger 1982)
            'confidence': CASE WHEN bool_and(net.hi IS NOT NULL) THEN any_value(single.confidence) END
        } AS shown,
        connected(shown, $margin) AS decision,
        CASE WHEN count(net.mean) = 0 THEN 'no control' ELSE decision END AS verdict,
        array_to_string(
            list_reverse_sort(
                list_distinct(flatten(list(string_split(caveats, '; ')) FILTER (caveats IS NOT NULL)))
            ),
            '; '
        ) AS caveats  -- those of any cut
    FROM intervals
    GROUP BY recipe, stitching
),
cuts AS (  -- if every cut is connected, each is by its own interval
    SELECT
        i.* EXCLUDE (single, simultaneous),
        CASE WHEN e.verdict = 'connected' THEN i.single ELSE i.simultaneous END AS shown,
        CASE
            WHEN i.net.mean IS NULL THEN 'no control'
            WHEN e.verdict = 'undecided' THEN 'not tested'
            WHEN e.verdict = 'connected' THEN e.verdict
            ELSE connected(i.simultaneous, $margin)
        END AS verdict
    FROM intervals AS i
    JOIN every_cut AS e ON i.recipe = e.recipe AND i.stitching = e.stitching
),
places AS (
    SELECT * EXCLUDE decision, 0 AS place FROM every_cut
    UNION ALL BY NAME
    SELECT *, penalty.n_a AS runs_a, penalty.n_b AS runs_b, penalty.n_pairs AS pairs, 1 AS place FROM cuts
    UNION ALL BY NAME
    SELECT
        *, simultaneous(net, 1) AS shown, penalty.n_a AS runs_a, penalty.n_b AS runs_b, penalty.n_pairs AS pairs,
        2 AS place
    FROM contrasts_with_caveats
    WHERE cut_kind IS NOT NULL
)
SELECT
    cut, cut_kind, depth, runs_a, runs_b, pairs, pairs_without_control,
    shown.mean AS net_penalty, shown.lo AS net_penalty_low, shown.hi AS net_penalty_high, verdict, shown.confidence,
    looks,
    penalty.mean AS penalty, penalty.lo AS penalty_low, penalty.hi AS penalty_high,
    drift, agreement, converged, caveats,
    coalesce(net.images, penalty.images) AS test_images, recipe.*, stitching.*
FROM places
ORDER BY recipe, stitching.data <> 'top', stitching, place, depth, cut
