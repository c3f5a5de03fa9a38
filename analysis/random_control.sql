-- question: Does it matter whether the bottom was trained?
-- one row per: setting of B, and cut: first the mean over the cuts at depth 0.5 and more, then each cut. Last come
--   cuts with a cut kind, which are in no mean and have no verdict: at a probe of A, all layers of B after the cut are
--   affine; at the same as another cut, the networks are the same
-- read it as: penalty is that of a bottom that is a random initialisation of B's architecture, trained penalty that of
--   a bottom trained as B was, with another seed. Stitching is informative at the cuts where the two differ. At early
--   cuts both are small, because the activations still carry most of the image
-- rule: worse: the interval of the random bottom's penalty lies above 0 and not within the margin; as good: within the
--   margin, and not below 0; better: below 0; undecided: none of these, or fewer than 2 runs per side. The statistical
--   units are training runs. Verdicts are corrected for their number (Holm 1979): those of cuts over all cuts of the
--   table, those of means over all means
-- parameter: margin = 1.0 (points; a smaller penalty counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: arch, width, samples, steps
-- settings: arch, width, dataset, data_digest, options, nested, label_noise, schedule_steps, train_batch, train_lr,
--   momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data, max_steps,
--   batch, lr, augment, stop, sender, train
WITH networks AS (
    SELECT
        task, training, steps = 0 AND init_weights IS NULL AS random,
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
        bottom.training AS a, top.training AS b, bottom.random, top.recipe,
        {
            stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data,
            max_steps: s.max_steps, batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender,
            train: s.train
        } AS stitching,
        s.cut_b AS cut, s.depth_b AS depth, s.affine_top, s.probe_only, s.same_as, s.gain,
        CASE WHEN $images = 'sampled' THEN s.correct END AS correct,
        CASE WHEN $images = 'sampled' THEN s.b_correct END AS b_correct
    FROM stitches AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE
        s.a <> s.b AND NOT s.same_run AND s.cut_a = s.cut_b AND NOT top.random
        AND bottom.architecture = top.architecture AND (bottom.random OR bottom.recipe = top.recipe)
    QUALIFY bool_or(bottom.random) OVER (PARTITION BY top.recipe, stitching)
),
stitched_by_kind AS (
    SELECT
        * EXCLUDE (affine_top, probe_only, same_as),
        cut_kind({recipe: recipe, stitching: stitching}, cut, depth, affine_top, probe_only, same_as) AS cut_kind
    FROM stitched
),
late_stitches AS (
    SELECT *, count(DISTINCT cut) OVER (PARTITION BY random, recipe, stitching, a, b) AS cuts
    FROM stitched_by_kind
    WHERE depth >= 0.5 AND cut_kind IS NULL
),
places AS (  -- the mean over the late cuts, for pairs that have all of them; then each cut
    SELECT * REPLACE ('(depth >= 0.5)' AS cut, NULL AS depth), 0 AS place
    FROM late_stitches
    QUALIFY cuts = max(cuts) OVER (PARTITION BY random, recipe, stitching)
    UNION ALL BY NAME
    SELECT *, CASE WHEN cut_kind IS NULL THEN 1 ELSE 2 END AS place FROM stitched_by_kind
),
contrasts AS (
    SELECT
        recipe, stitching, place, cut, cut_kind, depth,
        ci(a, b, CASE WHEN random THEN gain END, correct, b_correct) AS gain,
        ci(a, b, CASE WHEN NOT random THEN gain END, correct, b_correct) AS trained_gain
    FROM places
    GROUP BY ALL
),
verdicts AS (
    SELECT *, CASE WHEN cut_kind IS NULL THEN verdict(gain, $margin, place) END AS verdict
    FROM contrasts
)
SELECT
    cut, cut_kind, depth, gain.n_pairs AS pairs,
    -gain.mean AS penalty, -gain.hi AS penalty_low, -gain.lo AS penalty_high, verdict,
    trained_gain.n_pairs AS trained_pairs,
    -trained_gain.mean AS trained_penalty,
    -trained_gain.hi AS trained_penalty_low, -trained_gain.lo AS trained_penalty_high,
    gain.images AS test_images, recipe.*, stitching.*
FROM verdicts
ORDER BY recipe, stitching, place, depth
