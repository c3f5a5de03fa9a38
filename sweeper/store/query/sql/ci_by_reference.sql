-- Estimate the mean as `ci` does, with outcomes that are given by reference.
CREATE MACRO ci_by_reference(a, b, y, correct, against) AS
    interval_of(
        list({
            'a': a, 'b': b, 'x': 0.0::DOUBLE, 'y': y::DOUBLE, 'correct': correct::INTEGER,
            'against': (CASE WHEN correct IS NOT NULL THEN against END)::INTEGER
        }) FILTER (y IS NOT NULL)
    )
