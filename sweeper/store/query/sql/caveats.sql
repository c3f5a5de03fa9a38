-- Return the reasons to doubt that a stitch uses A's representation in B's own way, or null if there is none: a control
-- does as well (or the data don't decide), the stitched activations are farther from B's own than their mean is (drift
-- above 1), or less than 90 % of the stitches have converged (`converged`, in percent). `controls` is a list of structs
-- of the name of a `control` and of `extra`, the interval of its gain minus the stitch's.
CREATE MACRO caveats(controls, drift, converged, margin) AS
    nullif(
        concat_ws(
            '; ',
            nullif(
                array_to_string(
                    [
                        concat(c.control, ' ', as_well(c.extra, margin)) FOR c IN controls
                        IF coalesce(as_well(c.extra, margin), 'does worse') <> 'does worse'
                    ],
                    '; '
                ),
                ''
            ),
            CASE WHEN drift > 1 THEN 'drift above 1' END,
            CASE WHEN converged < 90 THEN 'not converged' END
        ),
        ''
    )
