-- Pair any network (A) with each network that has frozen layers (B). `networks` names a relation with a row per
-- network: task and the hash `recipe` of its settings.
CREATE OR REPLACE MACRO pairs_of_networks(networks) AS TABLE
WITH all_networks AS (
    SELECT task, recipe
    FROM query_table(networks)
)
SELECT
    bottom.recipe AS a_recipe, top.recipe AS b_recipe, 0 AS comparison_hash,
    a.task = b.task AS self, a.task <> b.task AND a.training = b.training AS same_run,
    a.draw AS a, b.draw AS b, '' AS cut, NULL AS position, NULL AS depth,
    a.test_error AS a_error, b.test_error AS b_error
FROM models AS a
JOIN all_networks AS bottom ON bottom.task = a.task
JOIN models AS b ON b.frozen <> ''
JOIN all_networks AS top ON top.task = b.task
