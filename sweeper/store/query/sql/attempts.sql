-- Attempts at tasks, successful or not.
SELECT *, "at" AS finished_at
FROM (
    SELECT
        task, 'models' AS kind, attempt, run, 'done' AS outcome, NULL::VARCHAR AS error,
        NULL::VARCHAR AS message, seconds, device, "at"
    FROM parts_models
    UNION ALL
    SELECT
        task, 'stitches' AS kind, attempt, run, 'done' AS outcome, NULL::VARCHAR AS error,
        NULL::VARCHAR AS message, seconds, device, "at"
    FROM parts_stitches
    UNION ALL
    SELECT
        task, 'similarities' AS kind, attempt, run, 'done' AS outcome, NULL::VARCHAR AS error,
        NULL::VARCHAR AS message, seconds, device, "at"
    FROM parts_similarities
    UNION ALL
    SELECT task, "of", attempt, run, 'failed', error, message, seconds, device, "at"
    FROM parts_failures
)
