-- Return true if a network classifies an image right, according to its packed outcomes; null beyond their end.
CREATE MACRO is_right(outcomes, image) AS
    CASE WHEN image < 8 * octet_length(outcomes) THEN get_bit(outcomes::BIT, image::INTEGER) = 1 END
