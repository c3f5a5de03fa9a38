-- Return whether a control does as well as the stitch that it controls, for the interval of the control's gain minus
-- the stitch's: 'does as well' if it is above minus the margin, 'does worse' if it lies below 0 and not above minus the
-- margin, else 'undecided'; null if there is no control.
CREATE MACRO as_well(extra, margin) AS
    CASE
        WHEN extra.lo > -margin THEN 'does as well'
        WHEN extra.hi < 0 THEN 'does worse'
        WHEN extra.mean IS NOT NULL THEN 'undecided'
    END
