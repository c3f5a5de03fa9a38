-- Return 'connected', 'not connected' or 'undecided' for the interval of a net penalty: connected if it lies below the
-- margin, not connected if it lies above.
CREATE MACRO connected(penalty, margin) AS
    CASE
        WHEN penalty.hi <= margin THEN 'connected'
        WHEN penalty.lo > margin THEN 'not connected'
        ELSE 'undecided'
    END
