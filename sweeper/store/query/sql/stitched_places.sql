-- Return one row for each `place` of stitches (`numbered_stitches`), with what its stitches have in common. `stitches`
-- is the name of a table or of a common table expression.
CREATE MACRO stitched_places(stitches) AS TABLE
SELECT
    place, any_value(a_network) AS a_network, any_value(b_network) AS b_network, any_value(relation) AS relation,
    any_value(data_digest) AS data_digest, any_value(stitching) AS stitching,
    any_value(cut_a) AS cut_a, any_value(cut_b) AS cut_b,
    CASE WHEN any_value(cut_a) = any_value(cut_b) THEN any_value(cut_b)
        ELSE concat(any_value(cut_a), ' → ', any_value(cut_b)) END AS cut,
    any_value(depth_a) AS depth_a, any_value(depth_b) AS depth_b, any_value(same_as) AS same_as,
    bool_or(affine_top) AS affine_top, bool_or(probe_only) AS probe_only
FROM query_table(stitches)
GROUP BY place
