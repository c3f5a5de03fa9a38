"""Data sets in folders: their sizes, classes and files, and the refusal of wrong folders."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeper.errors import DataError
from sweeper.spec.content.folders import classes, contents, image_files, parquet_files


def rewrite(file: Path, **columns) -> None:
    """Replace columns of a Parquet file."""
    table = pq.read_table(file)
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, file)


def test_the_sizes_and_files_of_a_parquet_folder_are_read(parquet_folder):
    folder_contents = contents("parquet", parquet_folder)
    assert (folder_contents.train, folder_contents.test, folder_contents.classes, folder_contents.shape) == (
        24,
        6,
        3,
        (3, 4, 6),
    )
    names = ["train-00000.parquet", "train-00001.parquet", "test-00000.parquet"]
    assert [file.name for file in folder_contents.files] == names


def test_parquet_files_in_a_folder_data_and_named_validation_are_read(parquet_folder):
    (parquet_folder / "data").mkdir()
    for file in parquet_folder.glob("*.parquet"):
        file.rename(parquet_folder / "data" / file.name.replace("test", "validation"))
    assert contents("parquet", parquet_folder).test == 6
    assert [file.name for file in parquet_files(parquet_folder, "test")] == ["validation-00000.parquet"]


@pytest.mark.parametrize(("image", "label"), [("img", "fine_label"), ("image", "labels")])
def test_columns_may_have_other_usual_names(parquet_folder, image, label):
    for file in parquet_folder.glob("*.parquet"):
        pq.write_table(pq.read_table(file).rename_columns([image, label]), file)
    assert contents("parquet", parquet_folder).classes == 3


def test_images_may_be_stored_as_plain_bytes(parquet_folder):
    for file in parquet_folder.glob("*.parquet"):
        rewrite(file, image=[row["bytes"] for row in pq.read_table(file)["image"].to_pylist()])
    assert contents("parquet", parquet_folder).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: [file.unlink() for file in folder.glob("test*")], r"no test\*\.parquet"),
        (lambda folder: [file.unlink() for file in folder.glob("*")], r"no train\*\.parquet"),
        (lambda folder: (folder / "train-00001.parquet").write_bytes(b"PAR1"), "can't be read as Parquet"),
        (lambda folder: rewrite(folder / "test-00000.parquet", label=["a"] * 6), "labels are string"),
        (lambda folder: rewrite(folder / "test-00000.parquet", label=[-1] * 6), "labels go down to -1"),
        (lambda folder: rewrite(folder / "test-00000.parquet", label=[None, 1, 1, 1, 1, 1]), "1 labels are missing"),
        (lambda folder: rewrite(folder / "train-00000.parquet", image=[b"no image"] * 16), "can't be read"),
        (lambda folder: rewrite(folder / "train-00000.parquet", image=[3] * 16), "holds no encoded images"),
        (
            lambda folder: pq.write_table(pa.table({"x": [1]}), folder / "train-00000.parquet"),
            "has no column image or img; it has x",
        ),
    ],
)
def test_wrong_parquet_folders_are_refused(parquet_folder, spoil, message):
    spoil(parquet_folder)
    with pytest.raises(DataError, match=message):
        contents("parquet", parquet_folder)


def test_the_sizes_and_classes_of_an_image_folder_are_read(image_folder):
    folder_contents = contents("imagefolder", image_folder)
    assert (folder_contents.train, folder_contents.test, folder_contents.classes, folder_contents.shape) == (
        20,
        4,
        2,
        (1, 4, 6),
    )
    assert classes(image_folder) == ["cat", "dog"]
    labels = np.array([label for _, label in image_files(image_folder, "train")])
    assert labels.tolist() == [0] * 10 + [1] * 10


def test_files_that_are_no_images_are_skipped(image_folder):
    (image_folder / "train" / "cat" / "README.txt").write_text("cats")
    (image_folder / "train" / ".DS_Store").write_text("")
    assert contents("imagefolder", image_folder).train == 20


def test_wrong_image_folders_are_refused(image_folder, tmp_path):
    (image_folder / "val" / "bird").mkdir()
    with pytest.raises(DataError, match=r"a class that .* doesn't have"):
        contents("imagefolder", image_folder)
    with pytest.raises(DataError, match="no folder train in"):
        contents("imagefolder", image_folder / "train")
    with pytest.raises(DataError, match="there is no folder"):
        contents("imagefolder", tmp_path / "none")
    (tmp_path / "bare" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "bare" / "test").mkdir()
    with pytest.raises(DataError, match="no images in"):
        contents("imagefolder", tmp_path / "bare")


def test_cifar10_in_parquet_files_has_its_sizes_and_classes():
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        pytest.skip("SWEEPER_CIFAR10 doesn't name a folder of CIFAR-10 in Parquet files")
    folder_contents = contents("parquet", Path(folder))
    assert (folder_contents.train, folder_contents.test, folder_contents.classes, folder_contents.shape) == (
        50_000,
        10_000,
        10,
        (3, 32, 32),
    )
