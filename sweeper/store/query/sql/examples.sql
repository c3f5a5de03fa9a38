-- Outcomes on single test images, which are unpacked when they are read. DuckDB applies a comparison of `task` or of
-- another column of the stitch with a constant before it unpacks. If the stitch classifies no image right, the
-- number of images is computed from the outcomes of B.
SELECT
    task, a, b, cut_a, cut_b, image,
    is_right(correct, image) AS correct,
    is_right(b_correct, image) AS b_correct,
    is_right(a_correct, image) AS a_correct,
    is_right(own_correct, image) AS own_correct
FROM (
    SELECT
        task, a, b, cut_a, cut_b, correct, b_correct, a_correct, own_correct,
        unnest(
            range(
                least(
                    coalesce(image_count(correct, test_error), image_count(b_correct, b_error), 0),
                    8 * octet_length(correct)
                )::BIGINT
            )
        ) AS image
    FROM stitches
)
