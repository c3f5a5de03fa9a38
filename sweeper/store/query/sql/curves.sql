-- Points of training curves, with the attempt that the shown row is from; a repeated commit may hold a point twice.
SELECT c.* EXCLUDE part, c."at" AS finished_at
FROM (
    SELECT DISTINCT ON (task, run, attempt, split, step) *
    FROM parts_curves
    ORDER BY task, run, attempt, split, step, part
) AS c
SEMI JOIN receipts AS r ON r.task = c.task AND r.run = c.run AND r.attempt = c.attempt
