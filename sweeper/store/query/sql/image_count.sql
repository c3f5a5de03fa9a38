-- Return the number of test images, computed from the number of images that a network classifies right and its error
-- in percent; null if it classifies none right. It can't be read off the packed outcomes alone,
-- because they are padded to whole bytes.
CREATE MACRO image_count(outcomes, error_percent) AS
    round(
        CASE WHEN octet_length(outcomes) > 0 THEN bit_count(outcomes::BIT) END / nullif(1 - error_percent / 100, 0)
    )
