"""Tests of whole data sets in folders."""

import os
from pathlib import Path

import numpy as np
import pytest

from sweeper.spec.content.folders import contents


def test_real_images():
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        pytest.skip("SWEEPER_CIFAR10 doesn't name a folder of CIFAR-10 in Parquet files")
    data = contents("parquet", Path(folder))
    assert (data.train, data.test, data.classes, data.shape) == (50_000, 10_000, 10, (3, 32, 32))
    assert np.unique(list(data.train_counts.values())).tolist() == [5_000]
