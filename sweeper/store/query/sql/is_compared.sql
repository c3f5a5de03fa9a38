-- Return true if a stitch counts in a mean: if it has a control, or if no stitch of the setting has one. So the gain
-- and the net gain of a setting are means over the same pairs. `setting` is what the stitches that are averaged have
-- in common, `net` the stitch's net gain or net penalty, which is null without a control (a self-stitch of B).
CREATE MACRO is_compared(setting, net) AS
    net IS NOT NULL OR NOT bool_or(net IS NOT NULL) OVER (PARTITION BY setting)
