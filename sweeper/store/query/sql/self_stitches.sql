-- Self-stitches, one row for each setting. After a change of the kernel version, the same setting runs again as
-- another task; the latest row counts.
SELECT setting, arg_max(gain, "at") AS gain, arg_max(drift, "at") AS drift,
    arg_max(agreement, "at") AS agreement, arg_max(correct, "at") AS correct
FROM stitches_with_setting
WHERE a = b AND a_weights = b_weights AND cut_a = cut_b AND sender = 'network'
GROUP BY ALL
