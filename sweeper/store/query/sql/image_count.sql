-- Return the number of test images, which packed outcomes round up to bytes, from how many images a network has right
-- and its error in percent; null where it has none right.
CREATE MACRO image_count(outcomes, error_percent) AS
    round(
        CASE WHEN octet_length(outcomes) > 0 THEN bit_count(outcomes::BIT) END / nullif(1 - error_percent / 100, 0)
    )
