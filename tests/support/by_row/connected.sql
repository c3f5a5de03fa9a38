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
--   statistical units are training runs. Every cut: the largest net penalty of a cut, with its 95 % interval. If it is
--   below the margin, each cut is connected. If it is above, cuts are read off intervals that hold together in 95 %
--   (Bonferroni; confidence is the level of each). If it is undecided, cuts are not tested. Other rows of the store
--   change no verdict. The interval of the penalty is at 95 %
-- parameter: margin = 1.0 (points; a smaller net penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
-- answer: Other seeds: {verdict}. Two networks that differ only in their seeds ({arch}, width {width}, {samples} images,
--   {steps} steps): the largest net penalty of a cut is {net_penalty}
-- shown: cut, depth, net_penalty, verdict, caveats
WITH networks AS (
    SELECT
        task, draw,
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
stitched AS (
    SELECT
        bottom.draw AS a, top.draw AS b, top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as,
        s.penalty, -s.net_gain AS net_penalty,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct,
        s.drift, s.agreement,
        CASE WHEN s.protocol = 'strict' AND s.max_steps > 0 THEN s.converged::INTEGER END AS converged,
        c.label.gain - s.gain AS label_extra, c.noise.gain - s.gain AS noise_extra,
        CASE WHEN $images = 'sampled' THEN c.label.correct END AS label_correct,
        CASE WHEN $images = 'sampled' THEN c.noise.correct END AS noise_correct,
        coalesce(p.plan, 'epoch'::TIMESTAMPTZ) AS plan
    FROM stitches AS s
    LEFT JOIN (  -- the first start of a run of the same job
        SELECT run, min(started) OVER (PARTITION BY job_resolved) AS plan FROM runs
    ) AS p ON p.run = s.run
    LEFT JOIN sender_controls AS c ON c.task = s.task
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE
        s.sender = 'network' AND s.a <> s.b AND NOT s.same_run AND s.cut_a = s.cut_b AND bottom.recipe = top.recipe
),
stitched_by_kind AS (
    SELECT
        *, cut_kind({recipe: recipe, stitching: stitching}, cut, depth, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched
),
first_plans AS (
    SELECT
        *, min(plan) OVER (PARTITION BY recipe, stitching, a) AS plan_of_a,
        min(plan) OVER (PARTITION BY recipe, stitching, b) AS plan_of_b,
        min(plan) OVER (PARTITION BY recipe, stitching, cut, cut_kind, depth) AS plan_of_cut
    FROM stitched_by_kind
),
looks AS (
    SELECT recipe, stitching, len(list_distinct(list(plan_of_a) || list(plan_of_b) || list(plan_of_cut))) AS looks
    FROM first_plans
    GROUP BY ALL
),
compared AS (
    SELECT
        *,
        is_compared(
            {recipe: recipe, stitching: stitching, cut: cut, cut_kind: cut_kind, depth: depth}, net_penalty
        ) AS is_compared
    FROM stitched_by_kind
),
contrasts AS (
    SELECT
        recipe, stitching, cut, cut_kind, depth,
        count(DISTINCT (a, b)) FILTER (NOT is_compared) AS pairs_without_control,
        ci(a, b, net_penalty, correct, own_correct) AS net,
        ci(a, b, CASE WHEN is_compared THEN penalty END, correct, b_correct) AS penalty,
        avg(drift) AS drift, avg(agreement) AS agreement, 100 * avg(converged) AS converged,
        ci(a, b, label_extra, label_correct, correct) AS label, ci(a, b, noise_extra, noise_correct, correct) AS noise
    FROM compared
    GROUP BY ALL
),
contrasts_with_caveats AS (
    SELECT
        * EXCLUDE (label, noise),
        caveats(
            [{control: 'label sender', extra: label}, {control: 'noise sender', extra: noise}],
            drift, converged, $margin
        ) AS caveats
    FROM contrasts
    JOIN looks USING (recipe, stitching)
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
ORDER BY recipe, stitching.data <> 'top', stitching, place, depth
