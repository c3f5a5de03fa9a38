-- question: Does it matter whether the bottom was trained?
-- one row per: setting of B, and cut: first the mean over the cuts at depth 0.5 and more, then each cut. Last come
--   cuts with a cut kind, which are in no mean and have no verdict: at a probe of A, all layers of B after the cut are
--   affine; at the same as another cut, the networks are the same
-- read it as: net penalty is that of a bottom that is a random initialisation of B's architecture (its penalty minus
--   that of B into itself, with the same stitcher, data and seed), trained net penalty that of a bottom trained as B
--   was, with another seed. Stitching is informative at the cuts where the two differ. At early cuts both are small,
--   because the activations still carry most of the image. Penalties also contain what the stitcher itself has learned,
--   from more images than B's if `data` isn't top, so they have no verdict
-- rule: worse: the interval of the random bottom's net penalty lies above the margin; as good: it lies between minus
--   the margin and the margin; better: it lies below minus the margin; undecided: none of these, or fewer than 2 runs
--   per side; no control: no B was stitched to itself; not tested: a cut whose mean is undecided. The statistical
--   units are training runs. The intervals of the cuts of one mean hold together in 95 % (Bonferroni; confidence is
--   the level of each). Other rows of the store change no verdict. Intervals without a verdict are at 95 %
-- parameter: margin = 1.0 (points; a smaller net penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
-- answer: Untrained bottoms: {verdict}. An untrained A gives B ({arch}, width {width}, {samples} images, {steps} steps) a
--   net penalty of {net_penalty}
-- shown: cut, depth, pairs, net_penalty, verdict, trained_net_penalty
WITH networks AS (
    SELECT
        task, draw, steps = 0 AND init_weights IS NULL AS random,
        {dataset: dataset, data_digest: left(data_digest, 12), arch: arch, options: options} AS architecture,
        {
            arch: arch, width: width, samples: samples, steps: steps, dataset: dataset,
            data_digest: left(data_digest, 12), options: json_merge_patch(options, '{"width": null}'),
            nested: nested, label_noise: label_noise, schedule_steps: schedule_steps,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
),
stitched AS (
    SELECT
        bottom.draw AS a, top.draw AS b, bottom.random, top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as, s.gain, s.net_gain,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct,
        CASE WHEN $images = 'sampled' THEN s.own_correct END AS own_correct,
        coalesce(p.plan, 'epoch'::TIMESTAMPTZ) AS plan
    FROM stitches AS s
    LEFT JOIN (  -- the first start of a run of the same job
        SELECT run, min(started) OVER (PARTITION BY job_resolved) AS plan FROM runs
    ) AS p ON p.run = s.run
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE
        s.sender = 'network' AND s.a <> s.b AND NOT s.same_run AND s.cut_a = s.cut_b AND NOT top.random
        AND bottom.architecture = top.architecture AND (bottom.random OR bottom.recipe = top.recipe)
    QUALIFY bool_or(bottom.random) OVER (PARTITION BY top.recipe, stitching)
),
stitched_by_kind AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        cut_kind({recipe: recipe, stitching: stitching}, cut, depth, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched
),
first_plans AS (
    SELECT
        *, min(plan) OVER (PARTITION BY recipe, stitching, a) AS plan_of_a,
        min(plan) OVER (PARTITION BY recipe, stitching, b) AS plan_of_b,
        min(plan) OVER (PARTITION BY recipe, stitching, cut, cut_kind, depth) AS plan_of_cut
    FROM stitched_by_kind
    WHERE random
),
looks AS (
    SELECT recipe, stitching, len(list_distinct(list(plan_of_a) || list(plan_of_b) || list(plan_of_cut))) AS looks
    FROM first_plans
    GROUP BY ALL
),
late_stitches AS (
    SELECT
        *, count(DISTINCT cut) OVER pair AS cuts,
        count(DISTINCT cut) FILTER (net_gain IS NOT NULL) OVER pair AS cuts_with_control
    FROM stitched_by_kind
    WHERE depth >= 0.5 AND cut_kind IS NULL
    WINDOW pair AS (PARTITION BY random, recipe, stitching, a, b)
),
places AS (  -- the mean over the late cuts, for pairs that have all of them; then each cut
    SELECT
        * REPLACE (
            '(depth >= 0.5)' AS cut, NULL AS depth, CASE WHEN cuts_with_control = cuts THEN net_gain END AS net_gain
        ),
        0 AS place
    FROM late_stitches
    QUALIFY cuts = max(cuts) OVER (PARTITION BY random, recipe, stitching)
    UNION ALL BY NAME
    SELECT *, CASE WHEN cut_kind IS NULL THEN 1 ELSE 2 END AS place FROM stitched_by_kind
),
compared AS (
    SELECT
        *,
        is_compared(
            {random: random, recipe: recipe, stitching: stitching, place: place, cut: cut, cut_kind: cut_kind}, net_gain
        ) AS is_compared
    FROM places
),
contrasts AS (
    SELECT
        recipe, stitching, place, cut, cut_kind, depth,
        count(DISTINCT (a, b)) FILTER (NOT is_compared) AS pairs_without_control,
        ci(a, b, CASE WHEN random THEN net_gain END, correct, own_correct) AS net,
        ci(a, b, CASE WHEN NOT random THEN net_gain END, correct, own_correct) AS trained_net,
        ci(a, b, CASE WHEN is_compared AND random THEN gain END, correct, b_correct) AS gain,
        ci(a, b, CASE WHEN is_compared AND NOT random THEN gain END, correct, b_correct) AS trained_gain
    FROM compared
    GROUP BY ALL
),
families AS (
    SELECT *, count(net.lo) OVER (PARTITION BY recipe, stitching, place) AS family_size
    FROM contrasts
    JOIN looks USING (recipe, stitching)
),
decisions AS (
    SELECT
        * EXCLUDE net,
        CASE WHEN cut_kind IS NULL THEN simultaneous(net, family_size, looks) ELSE simultaneous(net, 1) END AS net,
        net.images AS net_images, net.variances AS net_variances, net.degrees AS net_degrees,
        CASE
            WHEN cut_kind IS NOT NULL THEN NULL
            WHEN net.mean IS NULL AND gain.mean IS NOT NULL THEN 'no control'
            ELSE verdict(simultaneous(net, family_size, looks), $margin)
        END AS decision
    FROM families
),
verdicts AS (
    SELECT
        *,
        CASE
            WHEN
                place = 1 AND decision <> 'no control'
                AND bool_or(place = 0 AND net.lo IS NOT NULL AND decision = 'undecided') OVER (
                    PARTITION BY recipe, stitching
                )
                THEN 'not tested'
            ELSE decision
        END AS verdict
    FROM decisions
)
SELECT
    cut, cut_kind, depth, gain.n_a AS runs_a, gain.n_b AS runs_b, gain.n_pairs AS pairs, pairs_without_control,
    -net.mean AS net_penalty, -net.hi AS net_penalty_low, -net.lo AS net_penalty_high, verdict, net.confidence, looks,
    trained_gain.n_pairs AS trained_pairs,
    -trained_net.mean AS trained_net_penalty,
    -trained_net.hi AS trained_net_penalty_low, -trained_net.lo AS trained_net_penalty_high,
    -gain.mean AS penalty, -gain.hi AS penalty_low, -gain.lo AS penalty_high,
    -trained_gain.mean AS trained_penalty,
    -trained_gain.hi AS trained_penalty_low, -trained_gain.lo AS trained_penalty_high,
    coalesce(net_images, gain.images) AS test_images, net_variances, net_degrees, recipe.*, stitching.*
FROM verdicts
ORDER BY recipe, stitching.data <> 'top', stitching, place, depth
