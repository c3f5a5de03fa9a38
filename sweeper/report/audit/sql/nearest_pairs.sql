-- Select the pairs of settings that stand for each curve of a figure: assign each kind of pair to the curve with the
-- nearest level, then keep one pair of settings per setting and curve, that of the nearest level, then of the lowest
-- rank, then the one with the fewest differences. `others` counts the pairs left out. `candidates` names a relation
-- with a row per kind and curve: the hashes a_recipe, b_recipe and comparison_hash; self, same_run; the structs
-- bottom, top and setting; differ, curve, level, distance, rank.
CREATE OR REPLACE MACRO nearest_pairs(candidates) AS TABLE
WITH candidate_kinds AS (
    FROM query_table(candidates)
),
nearest AS (
    SELECT *, (a_recipe, b_recipe) AS pair
    FROM candidate_kinds
    QUALIFY distance = min(distance) OVER (PARTITION BY a_recipe, b_recipe, comparison_hash, self, same_run)
)
SELECT *, count(DISTINCT pair) OVER (PARTITION BY setting, curve) - 1 AS others
FROM nearest
QUALIFY pair = first_value(pair) OVER (
    PARTITION BY setting, curve ORDER BY distance, rank, len(differ), level, bottom, top
)
