-- The start row and the end row of each run. A row that was committed twice is shown once.
SELECT DISTINCT ON (task, event) * EXCLUDE part
FROM parts_runs
ORDER BY task, event, attempt, part
