-- question: Is the store complete?
-- one row per: job
-- read it as: the tasks of the job at its latest run: done, failed for good without a result, or missing. Done are
--   those that were done when that run started, and those that it did; what runs of other jobs did since isn't counted.
--   Missing tasks are still to run, or need a model that failed. `sweeper status` counts anew, task by task, and
--   `sweeper verify` checks that no file is damaged
-- parameter: job = * (the job to count; *: all jobs)
-- about: tasks
-- in all: {sum done} of {sum tasks} tasks are done, {sum failed} have failed, {sum missing} are missing (complete
--   jobs: {sum is_complete} of {rows})
-- shown: job, tasks, done, failed, missing, latest_run
WITH latest AS (
    SELECT DISTINCT ON (job) *
    FROM runs
    WHERE $job IN ('*', job)
    ORDER BY job, started DESC, run DESC
),
not_ended AS (  -- tasks that a run has done which is still running, or was lost
    SELECT run, count(DISTINCT task) AS done
    FROM attempts
    SEMI JOIN (FROM latest WHERE ended IS NULL) USING (run)
    WHERE outcome = 'done'
    GROUP BY run
),
given_up AS (
    SELECT runs.job, count(*) AS failed
    FROM failures
    JOIN runs USING (run)
    WHERE failures.final
    GROUP BY runs.job
),
counts AS (
    SELECT
        l.job, l.tasks, l.outcome AS latest_run, l.started,
        least(l.done_before + coalesce(l.done, n.done, 0), l.tasks) AS done, coalesce(g.failed, 0) AS failed_in_any
    FROM latest AS l
    LEFT JOIN not_ended AS n USING (run)
    LEFT JOIN given_up AS g USING (job)
)
SELECT
    job, tasks, done, least(failed_in_any, tasks - done) AS failed, tasks - done - failed AS missing,
    (done = tasks)::INTEGER AS is_complete, latest_run, started
FROM counts
ORDER BY job
