-- question: Do wider models have better representations?
-- one row per: width of A and of B (equal values: networks of other seeds), and cut: first the mean over the cuts at
--   depth 0.5 and more, then B alone, each cut, and A alone, whose gain is B's error minus A's. Last come cuts with a
--   cut kind, which are in no mean and have no verdict: at a probe of A, all layers of B after the cut are affine, so
--   the gain says nothing about them; at the same as another cut, the networks are the same
-- read it as: the net gain is the gain of A into B minus the gain of B into itself, with the same stitcher, data and
--   seed. Above 0, A's representation is better for B's top than B's own. The gain (B's error minus the stitched
--   network's) also contains what the stitcher itself has learned, from more images than B's if `data` isn't top, so it
--   has no verdict. Pairs are pairs of training runs. Drift and agreement are means of the columns of `stitches`,
--   converged is the percentage of stitches that converged. Caveats are a drift above 1, less than 90 % that converged
--   (*not converged*), and controls without A's representation that do as well (see the table controls)
-- rule: better: the interval of the net gain lies above the margin; as good: it lies between minus the margin and the
--   margin; worse: it lies below minus the margin; undecided: none of these, or fewer than 2 runs per side; no control:
--   no B was stitched to itself; not tested: a cut whose mean is undecided; control: A and B have the same setting, so
--   that the row shows what other seeds alone do. The units are training runs, not stitches. Intervals with a verdict
--   hold together in 95 % (Bonferroni; confidence is the level of each): those of the means that differ only in A and
--   B, and those of the cuts of one mean. The `looks` of these data are how often plans of runs brought them models or
--   cuts: intervals hold at all looks together, and each look has a wider one. Other rows of the store change no
--   verdict. Trend: the points by which the mean net gain over depth 0.5 and more grows with each doubling of A's width
--   (least squares for each B, then the mean). Rising or falling: its interval lies above or below 0; those of trends
--   that differ only in B hold together in 95 %. The interval of the gain is at 95 %
-- parameter: margin = 1.0 (points; a smaller net gain counts as none)
-- parameter: images = sampled | fixed (sampled: intervals also cover other test images; fixed: these images only)
-- sections: a_width, b_width
-- settings: dataset, data_digest, arch, options, samples, nested, label_noise, steps, schedule_steps, train_batch,
--   train_lr, momentum, weight_decay, schedule, train_augment, variant, stitcher, stitcher_options, protocol, data,
--   max_steps, batch, lr, augment, stop, sender, train
-- beneath: trend_per_doubling, tendency
-- answer: More width: {verdict}. A of width {a_width} gives B of width {b_width} a net gain of {net_gain}
-- shown: cut, depth, pairs, net_gain, verdict, caveats
WITH networks AS (
    SELECT
        task, width AS axis, {width: width} AS level, NULL AS course,
        {
            dataset: dataset, data_digest: left(data_digest, 12), arch: arch,
            options: json_merge_patch(options, '{"width": null}'), samples: samples, nested: nested,
            label_noise: label_noise, steps: steps, schedule_steps: schedule_steps,
            train_batch: batch, train_lr: lr, momentum: momentum, weight_decay: weight_decay, schedule: schedule,
            train_augment: augment, variant: variant
        } AS recipe
    FROM models
    WHERE steps > 0 AND width IS NOT NULL
)
SELECT
    a_level.width AS a_width, b_level.width AS b_width,
    cut, cut_kind, depth, runs_a, runs_b, pairs, pairs_without_control,
    net_gain, net_gain_low, net_gain_high, verdict, confidence, looks, gain, gain_low, gain_high,
    drift, agreement, converged, caveats,
    trend_per_doubling, trend_per_doubling_low, trend_per_doubling_high, tendency, test_images, net_variances,
    net_degrees,
    recipe.*, stitching.*
FROM compare_along_axis('networks', $margin, $images)
ORDER BY b_width, a_width DESC, recipe, stitching.data <> 'top', stitching, place, depth, cut
