"""Data sets in folders: their sizes, classes and files, and the refusal of wrong folders."""

import os
from pathlib import Path

import numpy as np
import pytest
from support.image_sets import refusal, write_image_folder, write_parquet

from sweeper.errors import DataError
from sweeper.spec.content.folders import contents, layout_of


def test_cifar10_in_parquet_files_has_its_sizes_and_classes():
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        pytest.skip("SWEEPER_CIFAR10 doesn't name a folder of CIFAR-10 in Parquet files")
    data = contents("parquet", Path(folder))
    assert (data.train, data.test, data.classes, data.shape) == (50_000, 10_000, 10, (3, 32, 32))
    assert np.unique(list(data.train_counts.values())).tolist() == [5_000]


def test_the_layout_of_a_folder(parquet_folder, image_folder, tmp_path):
    assert (layout_of(parquet_folder), layout_of(image_folder)) == ("parquet", "imagefolder")
    write_parquet(image_folder / "metadata.parquet", [0])
    write_image_folder(parquet_folder, {"pictures/a.png": b"", "train/readme.png": b""})
    assert (layout_of(parquet_folder), layout_of(image_folder)) == ("parquet", "imagefolder")
    write_parquet(tmp_path / "notes" / "train.parquet", [0])
    assert layout_of(tmp_path / "notes") == "parquet"


def test_a_folder_of_the_other_layout_is_told_so(parquet_folder, image_folder):
    hint = "; the folder has the layout of {}: write {} instead of {}"
    assert refusal("imagefolder", parquet_folder).endswith(hint.format("parquet", "parquet", "imagefolder"))
    assert refusal("parquet", image_folder).endswith(hint.format("imagefolder", "imagefolder", "parquet"))


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    def walk(folder, onerror, **_):
        onerror(PermissionError(13, "Permission denied", f"{folder}"))

    monkeypatch.setattr("sweeper.spec.content.parquet_files.os.walk", walk)
    with pytest.raises(DataError, match=f"{tmp_path} can't be read: Permission denied"):
        layout_of(tmp_path)
