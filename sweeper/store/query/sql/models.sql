-- Trained and untrained networks.
SELECT
    *,
    coalesce(
        nullif(
            concat_ws(
                '; ',
                CASE WHEN labels <> 'classes' THEN 'labels ' || labels END,
                CASE WHEN label_noise > 0 AND label_noise_kind <> 'other_class' THEN label_noise_kind END,
                CASE WHEN label_smoothing > 0 THEN 'label smoothing ' || label_smoothing END,
                CASE WHEN warmup > 0 THEN 'warm-up ' || warmup END,
                CASE
                    WHEN objective <> 'supervised'
                        THEN objective || ', temperature ' || temperature || ', probe steps ' || probe_steps
                END,
                CASE WHEN shards > 1 THEN 'shard of ' || shards || ', subset seed ' || subset_seed END,
                CASE WHEN shards = 1 AND subset_seed > 0 THEN 'subset seed ' || subset_seed END,
                CASE
                    WHEN init_weights IS NOT NULL
                        THEN CASE WHEN init IS NULL THEN 'begun from a file' ELSE 'begun from a model' END
                            || CASE reset
                                WHEN 'none' THEN ''
                                WHEN 'ends_torch' THEN ', new ends by torch'
                                ELSE ', new ' || reset
                            END
                END,
                CASE WHEN frozen <> '' THEN 'frozen ' || frozen END,
                CASE WHEN head <> 'weights' THEN head END,
                'images ' || input
            ),
            ''
        ),
        'plain'
    ) AS variant,
    CASE WHEN init_weights IS NOT NULL AND init IS NULL THEN training ELSE 'seed ' || seed END AS draw,
    "at" AS finished_at
FROM shown_models
