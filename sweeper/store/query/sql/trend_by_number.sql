-- Estimate the slope as `trend` does, for models that are given by number and outcomes that are given by reference.
CREATE MACRO trend_by_number(a, b, x, y, correct, against) AS
    trend_by_number_of(
        list({
            'a': a, 'b': b, 'x': x::DOUBLE, 'y': y::DOUBLE, 'correct': correct::INTEGER,
            'against': (CASE WHEN correct IS NOT NULL THEN against END)::INTEGER
        }) FILTER (y IS NOT NULL)
    )
