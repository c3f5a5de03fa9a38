-- question: Which models does the zoo hold, and how good are they?
-- one row per: setting of a model, over its seeds
-- read it as: error is the mean over seeds of the error on the test images in percent, lowest and highest are the seeds
--   at the two ends; 0 steps: a random initialisation
-- settings: dataset, data_digest, options, nested, label_noise, schedule_steps, batch, lr, momentum, weight_decay,
--   schedule, augment
SELECT
    arch, width, samples, steps, round(avg(epochs), 2) AS epochs, count(*) AS seeds, avg(test_error) AS error,
    min(test_error) AS lowest, max(test_error) AS highest, avg(test_loss) AS loss,
    dataset, left(data_digest, 12) AS data_digest, options, nested, label_noise, schedule_steps, batch, lr, momentum,
    weight_decay, schedule, augment
FROM models
GROUP BY ALL
ORDER BY ALL
