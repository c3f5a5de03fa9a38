-- Return 'better', 'as good', 'worse' or 'undecided' for the interval of a gain. One margin governs all: better if the
-- interval lies above the margin, worse if it lies below minus the margin, as good if it lies within the margin. So a
-- verdict is wrong only if the interval doesn't contain the value.
CREATE MACRO verdict(gain, margin) AS
    CASE
        WHEN gain.lo > margin THEN 'better'
        WHEN gain.hi < -margin THEN 'worse'
        WHEN gain.lo >= -margin AND gain.hi <= margin THEN 'as good'
        ELSE 'undecided'
    END
