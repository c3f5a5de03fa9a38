-- Stitches with a hash of the columns in which a stitch and its self-stitch must agree, so that the difference of their
-- gains is due to A. What the stitcher reads (`sender`) is not among them, so that the senders `label` and `noise` are
-- compared with the self-stitch of B's own activation, too. A join on a 64-bit hash is four times as fast as one on all
-- columns; two of a million settings collide with a probability of 3e-8.
SELECT
    *,
    hash(
        b, b_weights, cut_b, stitcher, options, protocol, data, data_digest, seed, max_steps, batch, lr, augment, stop,
        train
    ) AS setting
FROM shown_stitches
