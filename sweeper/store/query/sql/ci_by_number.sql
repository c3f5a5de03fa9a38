-- Estimate the mean as `ci` does, for models that are given by number and outcomes that are given by reference, which
-- takes less memory.
CREATE MACRO ci_by_number(a, b, y, correct, against) AS
    interval_by_number(
        list({
            'a': a, 'b': b, 'y': y::DOUBLE, 'correct': correct::INTEGER,
            'against': (CASE WHEN correct IS NOT NULL THEN against END)::INTEGER
        }) FILTER (y IS NOT NULL)
    )
