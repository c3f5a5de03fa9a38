-- Stitches with the specifications of their two models. The errors of the models come from the row of the stitch,
-- which has those of the weights that were used. `a_correct` and `b_correct` are null if `models` shows other
-- weights than were used. `affine_top` and `probe_only` of older rows come from the names of built-in architectures
-- and stitchers.
SELECT
    s.* REPLACE (
        coalesce(s.affine_top, has_affine_top(b.arch, b.options, s.cut_b)) AS affine_top,
        coalesce(
            s.probe_only,
            has_affine_top(b.arch, b.options, s.cut_b) AND is_affine_stitcher(s.stitcher, s.options)
        ) AS probe_only
    ),
    s.gain - self_stitch.gain AS net_gain,
    a.arch AS a_arch, a.width AS a_width, a.samples AS a_samples, a.nested AS a_nested, a.steps AS a_steps,
    a.schedule_steps AS a_schedule_steps, a.epochs AS a_epochs, a.seed AS a_seed, a.label_noise AS a_label_noise,
    a.training AS a_training, a.labels AS a_labels, a.label_noise_kind AS a_label_noise_kind, a.shards AS a_shards,
    a.shard AS a_shard, a.objective AS a_objective, a.init AS a_init, a.reset AS a_reset, a.frozen AS a_frozen,
    b.arch AS b_arch, b.width AS b_width, b.samples AS b_samples, b.nested AS b_nested, b.steps AS b_steps,
    b.schedule_steps AS b_schedule_steps, b.epochs AS b_epochs, b.seed AS b_seed, b.label_noise AS b_label_noise,
    b.training AS b_training, b.labels AS b_labels, b.label_noise_kind AS b_label_noise_kind, b.shards AS b_shards,
    b.shard AS b_shard, b.objective AS b_objective, b.init AS b_init, b.reset AS b_reset, b.frozen AS b_frozen,
    CASE WHEN a.weights = s.a_weights THEN a.correct END AS a_correct,
    CASE WHEN b.weights = s.b_weights THEN b.correct END AS b_correct,
    self_stitch.correct AS own_correct,
    a.training = b.training AND s.a <> s.b AS same_run,
    a.weights IS DISTINCT FROM s.a_weights OR b.weights IS DISTINCT FROM s.b_weights AS mixed,
    s."at" AS finished_at
FROM stitches_with_setting AS s
LEFT JOIN shown_models AS a ON a.task = s.a
LEFT JOIN shown_models AS b ON b.task = s.b
LEFT JOIN self_stitches AS self_stitch ON self_stitch.setting = s.setting
