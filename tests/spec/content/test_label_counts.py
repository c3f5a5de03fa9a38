"""Tests of labels: classes are counted, gaps are stated, labels that can't be classes are refused."""

from pathlib import Path

import pytest
from support.image_sets import write_parquet

from sweeper.errors import DataError
from sweeper.spec.content.folders import Contents, contents


def read(folder: Path, train: list[int | None], test: list[int | None]) -> Contents:
    write_parquet(folder / "train.parquet", train)
    write_parquet(folder / "test.parquet", test)
    return contents("parquet", folder)


def test_classes_are_counted(tmp_path):
    data = read(tmp_path, [0, 1, 1, 2], [2, 0, 1])
    assert (data.classes, data.train_counts, data.test_counts) == (3, {0: 1, 1: 2, 2: 1}, {0: 1, 1: 1, 2: 1})
    assert data.notes == ()


def test_a_gap_is_stated(tmp_path):
    data = read(tmp_path, [1, 5, 9], [9, 5, 1])
    assert data.classes == 10
    (note,) = data.notes
    assert note.startswith("3 classes are present; no image has a label 0, 2, 3, 4, 6, 7, 8")


@pytest.mark.parametrize("label", [1_000_000, 2**62, 30])
def test_an_absurd_label_is_refused(tmp_path, label):
    with pytest.raises(DataError, match=rf"only 3 of the labels 0 .. {label} have images \(0, 1, {label}\)"):
        read(tmp_path, [0, 1, label], [0, 1])


def test_one_class_is_refused(tmp_path):
    with pytest.raises(DataError, match="all images have the label 0: a classifier needs at least two classes"):
        read(tmp_path, [0, 0], [0])


def test_a_class_of_one_split_is_stated(tmp_path):
    data = read(tmp_path, [0, 1, 2], [0, 1])
    assert data.notes == ("the label 2: train images but no test images",)


def test_one_class_of_training_images_is_refused(tmp_path):
    message = "all training images have the label 0, test images have 0, 1: a classifier needs training images of"
    with pytest.raises(DataError, match=message):
        read(tmp_path, [0, 0], [0, 1])


def test_test_images_of_one_class_are_stated(tmp_path):
    assert read(tmp_path, [0, 1], [1]).notes == ("the label 0: train images but no test images",)
