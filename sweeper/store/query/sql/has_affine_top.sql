-- Return true if all layers after a cut of a built-in architecture are affine, as its card says; null for another
-- architecture. It fills `affine_top` of stitches that an older version stored.
CREATE MACRO has_affine_top(arch, options, cut) AS
    CASE
        WHEN cut = 'output' THEN true
        WHEN arch = 'resnet18k' THEN cut IN ('block8', 'pool')
        WHEN arch IN ('myrtle', 'vit', 'preact_resnet_cifar') THEN cut = 'pool'
        WHEN arch = 'resnet_cifar' THEN cut = 'pool' OR cut = concat('block', 3 * (options ->> '$.blocks')::INTEGER)
        WHEN arch = 'mlp' THEN cut = concat('hidden', options ->> '$.depth')
    END
