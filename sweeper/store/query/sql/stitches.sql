-- Stitches with the specifications of their two models (`stitches_with_models`).
SELECT * EXCLUDE setting
FROM stitches_with_models
