-- question: What did the experiments cost?
-- one row per: job, kind of task, and device
-- read it as: hours are the wall-clock hours of workers, over all attempts at tasks, those that failed included; work
--   that a pack shares is divided among its tasks. Core-hours are the hours on CPUs times the CPUs of a worker of the
--   job (`engine.cpus`), GPU-hours those on GPUs times its GPUs (`engine.gpus`; `auto` counts as a quarter of one).
--   Failed hours are the hours of attempts that failed, share the percentage of all hours. Time in which a worker
--   starts, waits or reads data isn't counted. A task that jobs share counts for the job whose run did it; the job is
--   missing for results whose run the store doesn't have
-- about: tasks
-- sections: job
-- in all: {sum core_hours} core-hours and {sum gpu_hours} GPU-hours in {sum attempts} attempts at tasks
-- shown: kind, device, tasks, attempts, core_hours, gpu_hours, failed_hours, share
WITH jobs AS (
    SELECT run, job, CASE WHEN json_valid(job_resolved) THEN job_resolved::JSON -> 'engine' END AS engine
    FROM runs
),
workers AS (
    SELECT
        run, job,
        coalesce(TRY_CAST(engine ->> 'cpus' AS DOUBLE), 1) AS cpus,
        coalesce(TRY_CAST(engine ->> 'gpus' AS DOUBLE), 0.25) AS gpus
    FROM jobs
),
costs AS (
    SELECT
        w.job, a.kind, a.device, a.task, a.outcome, a.seconds / 3600 AS hours,
        CASE WHEN split_part(a.device, ',', 1) = 'cpu' THEN hours * coalesce(w.cpus, 1) ELSE 0 END AS core_hours,
        CASE WHEN split_part(a.device, ',', 1) NOT IN ('cpu', '') THEN hours * coalesce(w.gpus, 0.25) ELSE 0 END
            AS gpu_hours
    FROM attempts AS a
    LEFT JOIN workers AS w USING (run)
)
SELECT
    job, kind, nullif(device, '') AS device, count(DISTINCT task) AS tasks, count(*) AS attempts, sum(hours) AS hours,
    sum(core_hours) AS core_hours, sum(gpu_hours) AS gpu_hours,
    coalesce(sum(hours) FILTER (outcome = 'failed'), 0.0) AS failed_hours,
    100 * sum(hours) / nullif(sum(sum(hours)) OVER (), 0) AS share
FROM costs
GROUP BY job, kind, device
ORDER BY job, kind, device
