-- The attempt that each task's shown row comes from.
SELECT task, run, attempt FROM shown_models
UNION ALL
SELECT task, run, attempt FROM shown_stitches
UNION ALL
SELECT task, run, attempt FROM shown_similarities
