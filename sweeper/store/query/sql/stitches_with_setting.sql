-- Stitches with a hash of the columns in which a stitch and its self-stitch must agree, so that the difference of their
-- gains is due to A. A join on a 64-bit hash is four times as fast as one on all columns; two of a million settings
-- collide with a probability of 3e-8.
SELECT
    *,
    hash(
        b, b_weights, cut_b, stitcher, options, protocol, data, data_digest, seed, max_steps, batch, lr, augment, stop,
        sender, train
    ) AS setting
FROM shown_stitches
