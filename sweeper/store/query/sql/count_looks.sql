-- Return the number of looks at each family of comparisons: of the plans (`plans`) that brought a model or a cut to one
-- of its settings. `stitches` is the name of a table or of a common table expression with the columns `family`,
-- `setting`, `a`, `b`, `cut` and `plan`.
CREATE MACRO count_looks(stitches) AS TABLE
SELECT family, count(DISTINCT plan) AS looks
FROM (
    SELECT family, min(plan) AS plan FROM query_table(stitches) GROUP BY family, setting, a
    UNION ALL
    SELECT family, min(plan) AS plan FROM query_table(stitches) GROUP BY family, setting, b
    UNION ALL
    SELECT family, min(plan) AS plan FROM query_table(stitches) GROUP BY family, setting, cut
)
GROUP BY family
