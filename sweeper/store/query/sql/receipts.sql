-- The attempt of the row that the views show, for each task that is done.
SELECT task, run, attempt FROM shown_models
UNION ALL
SELECT task, run, attempt FROM shown_stitches
UNION ALL
SELECT task, run, attempt FROM shown_similarities
