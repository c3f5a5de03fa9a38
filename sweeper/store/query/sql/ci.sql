-- Estimate the mean of y over pairs (a, b) with its interval: for the same test images or, with outcomes on single
-- images, for other test images as well. The values of a group are passed as one list of structs, which keeps those
-- of a stitch together; outcomes are passed by reference.
CREATE MACRO ci(a, b, y) AS
    interval_of(
        list({'a': a, 'b': b, 'x': 0.0::DOUBLE, 'y': y::DOUBLE, 'correct': NULL::INTEGER, 'against': NULL::INTEGER})
        FILTER (y IS NOT NULL)
    ),
(a, b, y, correct, against) AS
    interval_of(
        list({
            'a': a, 'b': b, 'x': 0.0::DOUBLE, 'y': y::DOUBLE,
            'correct': reference(CASE WHEN y IS NOT NULL THEN correct::BLOB END),
            'against': reference(CASE WHEN y IS NOT NULL AND correct IS NOT NULL THEN against::BLOB END)
        }) FILTER (y IS NOT NULL)
    )
