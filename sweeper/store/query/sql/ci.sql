-- Estimate the mean of y over pairs (a, b) with its interval, for these test images or, with outcomes, for others too.
-- One list of structs keeps its members in step, and DuckDB hands each group over by itself.
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
