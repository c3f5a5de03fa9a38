-- question: Which models does the store have, and what are their errors?
-- one row per: setting of a model; seeds are averaged
-- read it as: error is the error on the test images in percent, averaged over seeds; lowest, highest: the smallest
--   and the largest error of a seed; 0 steps means a random initialisation
-- settings: dataset, data_digest, options, nested, label_noise, schedule_steps, batch, lr, momentum, weight_decay,
--   schedule, augment, variant
-- in all: {sum seeds} models of {rows} settings, with mean test errors from {least error} to {most error} %
-- shown: arch, width, samples, steps, seeds, error, lowest, highest
WITH trained AS (  -- settings of training are null for a random initialisation
    SELECT
        *, steps > 0 AS is_trained, json_merge_patch(options, '{"width": null}') AS other_options
    FROM models
)
SELECT
    arch, width, samples, steps, round(avg(epochs), 2) AS epochs, count(*) AS seeds, avg(test_error) AS error,
    min(test_error) AS lowest, max(test_error) AS highest, avg(test_loss) AS loss,
    dataset, left(data_digest, 12) AS data_digest, other_options AS options,
    CASE WHEN is_trained THEN nested END AS nested, CASE WHEN is_trained THEN label_noise END AS label_noise,
    CASE WHEN is_trained THEN schedule_steps END AS schedule_steps, CASE WHEN is_trained THEN batch END AS batch,
    CASE WHEN is_trained THEN lr END AS lr, CASE WHEN is_trained THEN momentum END AS momentum,
    CASE WHEN is_trained THEN weight_decay END AS weight_decay, CASE WHEN is_trained THEN schedule END AS schedule,
    CASE WHEN is_trained THEN augment END AS augment, variant
FROM trained
GROUP BY ALL
ORDER BY ALL
