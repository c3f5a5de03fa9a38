-- The plan of each run, as a number in the order of the plans' first starts. Runs whose jobs name the same models and
-- stitches have one plan, such as those that resume a run. A run whose job isn't known has a plan of its own.
SELECT run, dense_rank() OVER (ORDER BY first_start, tasks)::INTEGER AS plan
FROM (
    SELECT run, tasks, min("at") OVER (PARTITION BY tasks) AS first_start
    FROM (
        SELECT
            task AS run, "at",
            CASE
                WHEN json_valid(job_resolved)
                    THEN json_extract_string(job_resolved, ['$.data.digest', '$.models', '$.stitch'])
            END AS sections,
            CASE WHEN sections[2] IS NULL THEN task ELSE sections::VARCHAR END AS tasks
        FROM events
        WHERE event = 'start'
    )
)
