-- Return true if a built-in stitcher with these options is an affine map, as its card says; null for another stitcher.
CREATE MACRO is_affine_stitcher(stitcher, options) AS
    CASE
        WHEN stitcher IN (
                'conv1x1', 'linear', 'low_rank', 'adapter', 'affine', 'orthogonal', 'permutation', 'identity', 'probe'
            )
            THEN true
        WHEN stitcher = 'conv' THEN (options ->> '$.depth') = '1'
        WHEN stitcher = 'relative' THEN false
    END
