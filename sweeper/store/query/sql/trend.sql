-- Estimate the slope of y over the levels x of A with its interval; the arguments other than x are those of ci.
CREATE MACRO trend(a, b, x, y) AS
    trend_of(
        list({'a': a, 'b': b, 'x': x::DOUBLE, 'y': y::DOUBLE, 'correct': NULL::INTEGER, 'against': NULL::INTEGER})
        FILTER (y IS NOT NULL)
    ),
(a, b, x, y, correct, against) AS
    trend_of(
        list({
            'a': a, 'b': b, 'x': x::DOUBLE, 'y': y::DOUBLE,
            'correct': reference(CASE WHEN y IS NOT NULL THEN correct::BLOB END),
            'against': reference(CASE WHEN y IS NOT NULL AND correct IS NOT NULL THEN against::BLOB END)
        }) FILTER (y IS NOT NULL)
    )
