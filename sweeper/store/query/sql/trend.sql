-- Estimate the slope of y over the levels x of A with its interval; the arguments other than x are those of ci.
CREATE MACRO trend(a, b, x, y) AS
    trend_of(
        list({'a': a, 'b': b, 'x': x::DOUBLE, 'y': y::DOUBLE, 'correct': NULL::BLOB, 'against': NULL::BLOB})
        FILTER (y IS NOT NULL)
    ),
(a, b, x, y, correct, against) AS
    trend_of(
        list({
            'a': a, 'b': b, 'x': x::DOUBLE, 'y': y::DOUBLE, 'correct': correct::BLOB,
            'against': (CASE WHEN correct IS NOT NULL THEN against END)::BLOB
        }) FILTER (y IS NOT NULL)
    )
