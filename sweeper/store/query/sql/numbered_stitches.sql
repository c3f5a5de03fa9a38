-- Return the stitches of given networks, with numbers in place of names and structs and with outcomes by reference, so
-- that a table of millions of stitches takes little memory. `networks` is the name of a table or of a common table
-- expression with one row for each network: its `task`, and `network`, the number of its settings. Of a stitch,
--   a, b                  are the numbers of the draws of A and B (`draw` of the view `models`), in their order
--   a_task, b_task        their ids
--   a_network, b_network  the numbers of their settings
--   relation              is 'self' (B stitched to itself), 'same run' (two snapshots of one run) or 'other run'
--   stitching             a struct of its own settings, other than the data set and the seed
--   place                 a hash that stitches share if they differ only in models of the same settings and in seeds
--   correct, b_correct, own_correct    are references to outcomes, null unless `images` is 'sampled'
--   own                   a struct of the other results of B stitched to itself
--   plan                  the number of the plan of its run (`plans`); 0 if that isn't known
CREATE MACRO numbered_stitches(networks, images) AS TABLE
WITH numbered_networks AS MATERIALIZED (
    SELECT
        n.task, n.network, m.weights,
        dense_rank() OVER (ORDER BY m.draw)::INTEGER AS draw,
        CASE WHEN images = 'sampled' THEN reference(m.correct) END AS outcomes
    FROM query_table(networks) AS n
    JOIN models AS m USING (task)
),
numbered_self_stitches AS MATERIALIZED (
    SELECT
        setting, {gain: gain, drift: drift, agreement: agreement} AS own,
        CASE WHEN images = 'sampled' THEN reference(correct) END AS outcomes
    FROM self_stitches
)
SELECT
    s.task, s.a AS a_task, s.b AS b_task, bottom.draw AS a, top.draw AS b,
    bottom.network AS a_network, top.network AS b_network, s.a_weights, s.b_weights,
    CASE WHEN s.a = s.b THEN 'self' WHEN s.same_run THEN 'same run' ELSE 'other run' END AS relation,
    s.sender, s.seed, s.a_seed, s.data_digest, s.cut_a, s.cut_b, s.depth_a, s.depth_b,
    s.affine_top, s.probe_only, s.same_as,
    {
        stitcher: s.stitcher, stitcher_options: s.options, protocol: s.protocol, data: s.data, max_steps: s.max_steps,
        batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, sender: s.sender, train: s.train
    } AS stitching,
    hash(
        bottom.network, top.network, relation, s.data_digest, s.cut_a, s.cut_b, s.depth_a, s.depth_b, s.same_as,
        s.stitcher, s.options, s.protocol, s.data, s.max_steps, s.batch, s.lr, s.augment, s.stop, s.sender, s.train
    ) AS place,
    s.gain, s.net_gain, s.drift, s.agreement,
    CASE WHEN s.protocol = 'strict' AND s.max_steps > 0 THEN s.converged::INTEGER END AS converged,
    CASE WHEN images = 'sampled' THEN reference(s.correct) END AS correct,
    CASE WHEN top.weights = s.b_weights THEN top.outcomes END AS b_correct,
    self_stitch.outcomes AS own_correct, self_stitch.own, coalesce(plans.plan, 0) AS plan
FROM stitches_with_models AS s
JOIN numbered_networks AS bottom ON bottom.task = s.a
JOIN numbered_networks AS top ON top.task = s.b
LEFT JOIN numbered_self_stitches AS self_stitch ON self_stitch.setting = s.setting
LEFT JOIN plans ON plans.run = s.run
