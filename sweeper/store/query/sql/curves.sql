-- Points of the training curves of the attempts that the views show. A point that was committed twice is shown once.
SELECT c.* EXCLUDE part, c."at" AS finished_at
FROM (
    SELECT DISTINCT ON (task, run, attempt, split, step) *
    FROM parts_curves
    ORDER BY task, run, attempt, split, step, part
) AS c
SEMI JOIN receipts AS r ON r.task = c.task AND r.run = c.run AND r.attempt = c.attempt
