-- Return whether a network is right on an image, from its packed outcomes; null beyond their end.
CREATE MACRO is_right(outcomes, image) AS
    CASE WHEN image < 8 * octet_length(outcomes) THEN get_bit(outcomes::BIT, image::INTEGER) = 1 END
