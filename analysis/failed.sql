-- question: What failed, and why?
-- one row per: kind of task, and class of error: its type and, if it is known, the place in the code
-- read it as: tasks that have no result because their last attempt failed, the most frequent class first. For good:
--   those that no run tries again without `--retry-failed`; the others are tried again by the next run. Attempts are
--   those at these tasks, in all runs. Task is an example, and message the first line of its error: `sweeper explain
--   TASK` shows all of it. Tasks that wait for a model that failed aren't counted
-- about: tasks
-- in all: {sum tasks} tasks have failed, {sum for_good} of them for good (classes of errors: {rows})
-- shown: cause, kind, tasks, for_good, task
SELECT
    concat(error, ' at ' || place) AS cause, kind, count(*) AS tasks, count(*) FILTER (final) AS for_good,
    sum(attempts)::BIGINT AS attempts, min(task) AS task,
    left(split_part(trim(arg_min(message, task)), chr(10), 1), 200) AS message
FROM failures
GROUP BY kind, error, place
ORDER BY tasks DESC, kind, cause
