-- Return why a cut stands in no mean over cuts, in no verdict on every cut and in no correction; null if it stands in
-- them. 'linear probe of A' and 'probe of A': the layers of B after the cut are affine, and the stitcher is or is not.
-- 'same as CUT': the stitches at another cut of the setting are the same networks. `setting` is what the stitches that
-- are averaged have in common, other than the cut; the other arguments are columns of the view `stitches`.
CREATE MACRO cut_kind(setting, cut, depth, affine_top, probe_only, same_as) AS
    CASE
        WHEN bool_or(probe_only) OVER (PARTITION BY setting, cut) THEN 'linear probe of A'
        WHEN bool_or(affine_top) OVER (PARTITION BY setting, cut) THEN 'probe of A'
        WHEN depth > min(depth) OVER (PARTITION BY setting, coalesce(same_as, cut)) THEN concat('same as ', same_as)
    END
