"""Small training runs and data sets for tests."""

from typing import Any

from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.records.task import Data, TrainingRun

_CARD = DATASETS["digits"]
DIGITS = Data(_CARD.name, _CARD.digest, _CARD.train, _CARD.test, _CARD.classes, _CARD.shape, _CARD.holdout)


def training_run(**changes: Any) -> TrainingRun:
    """Return a short training run on digits, with some fields changed."""
    spec: dict[str, Any] = {
        "id": "run",
        "data": DIGITS,
        "arch": "resnet18k",
        "options": (("width", 4),),
        "seed": 0,
        "steps": 6,
        "samples": 1200,
        "nested": False,
        "label_noise": 0.0,
        "batch": 32,
        "lr": 0.05,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "step",
        "augment": "none",
    }
    return TrainingRun(**(spec | changes))


def placeholder_data(train: int, test: int = 20, **changes: Any) -> Data:
    """Return a data set with these numbers of images; its other fields are placeholders."""
    spec: dict[str, Any] = {
        "name": "parquet",
        "digest": "d",
        "train": train,
        "test": test,
        "classes": 10,
        "shape": (1, 8, 8),
        "holdout": train // 10,
    }
    return Data(**(spec | changes))
