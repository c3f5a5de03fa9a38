-- The last failure of each task that is not done, and the number of its attempts.
SELECT f.* EXCLUDE part, f."of" AS kind, f."at" AS finished_at
FROM (
    SELECT DISTINCT ON (task) *, count(*) OVER (PARTITION BY task) AS attempts
    FROM parts_failures
    ORDER BY task, "at" DESC, attempt DESC, part DESC
) AS f
ANTI JOIN receipts AS r ON r.task = f.task
