-- Runs, from their start rows and end rows. A run without an end row is still running or was lost.
SELECT
    s.task AS run, s.job,
    coalesce(e.outcome, 'running or lost') AS outcome,
    s."at" AS started, e."at" AS ended,
    epoch(e."at" - s."at") AS seconds,
    s.tasks, s.done_before, e.done, e.failed, s.host, s.pid, s.code, s.versions, s.job_given, s.job_resolved
FROM (FROM events WHERE event = 'start') AS s
LEFT JOIN (FROM events WHERE event = 'end') AS e ON e.task = s.task
