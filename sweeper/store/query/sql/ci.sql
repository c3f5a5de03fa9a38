-- Estimate the mean of y over pairs (a, b) with its interval: for the same test images or, with outcomes on single
-- images, for other test images as well. The values of a group are passed as one list of structs, which keeps those
-- of a stitch together.
CREATE MACRO ci(a, b, y) AS
    interval_of(
        list({'a': a, 'b': b, 'x': NULL::DOUBLE, 'y': y::DOUBLE, 'correct': NULL::BLOB, 'against': NULL::BLOB})
        FILTER (y IS NOT NULL)
    ),
(a, b, y, correct, against) AS
    interval_of(
        list({
            'a': a, 'b': b, 'x': NULL::DOUBLE, 'y': y::DOUBLE, 'correct': correct::BLOB,
            'against': (CASE WHEN correct IS NOT NULL THEN against END)::BLOB
        }) FILTER (y IS NOT NULL)
    )
