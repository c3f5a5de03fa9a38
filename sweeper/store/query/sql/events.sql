-- The start and the end of each run, each once.
SELECT DISTINCT ON (task, event) * EXCLUDE part
FROM parts_runs
ORDER BY task, event, attempt, part
