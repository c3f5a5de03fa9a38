-- Similarities of representations. `calibrated` is defined for the measures that are 1 for equal representations.
SELECT
    *,
    CASE
        WHEN measure IN (
                'linear_cka', 'minibatch_cka', 'rbf_cka', 'svcca', 'pwcca',
                'procrustes', 'orthogonal_r2', 'affine_r2', 'rsa', 'mutual_knn',
                'linear_predictivity', 'output_agreement', 'output_kappa'
            )
            THEN (value - null_mean) / nullif(1 - null_mean, 0)
    END AS calibrated,
    "at" AS finished_at
FROM shown_similarities
