-- Return 'rising', 'falling' or 'undecided' for the interval of a trend.
CREATE MACRO rising(trend) AS
    CASE WHEN trend.lo > 0 THEN 'rising' WHEN trend.hi < 0 THEN 'falling' ELSE 'undecided' END
