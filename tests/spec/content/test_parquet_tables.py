"""Tests of the columns of Parquet data sets: types of images and labels, names of classes, damaged files."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.image_sets import encode, refusal

from sweeper.spec.content.folders import contents
from sweeper.trials.data.folders import read_parquet

IMAGES = [encode(i) for i in range(4)]
STRUCTS = [{"bytes": image, "path": "a.png"} for image in IMAGES]


def write(folder: Path, images=STRUCTS, labels=(0, 1, 0, 1), names: list[str] | None = None, **columns) -> None:
    """Write the same rows as both splits; `names` are the classes in the metadata of the hub."""
    table = pa.table({"image": images, "label": labels, **columns})
    if names:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    for split in ("train", "test"):
        pq.write_table(table, folder / f"{split}.parquet")


IMAGE_TYPES = {
    "struct": pa.array(STRUCTS),
    "struct without path": pa.array([{"bytes": image} for image in IMAGES]),
    "struct with large bytes": pa.array(STRUCTS, pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
    "bytes": pa.array(IMAGES),
    "large bytes": pa.array(IMAGES, pa.large_binary()),
    "view of bytes": pa.array(IMAGES, pa.binary_view()),
    "dictionary": pa.array(IMAGES).dictionary_encode(),
}


@pytest.mark.parametrize("kind", IMAGE_TYPES)
def test_columns_that_hold_images(tmp_path, kind):
    write(tmp_path, IMAGE_TYPES[kind])
    assert contents("parquet", tmp_path).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["a.png"] * 4, "the column image is string, not encoded images"),
        ([[1, 2]] * 4, "the column image is list<"),
        ([[image] for image in IMAGES], "the column image is list<"),
        ([{"path": "a.png"}] * 4, "the column image is struct<path: string>"),
        ([1.0] * 4, "the column image is double"),
        (
            pa.nulls(4),
            "train.parquet, row 0: there is no image (its bytes are null; a path beside them is not followed)",
        ),
        (
            pa.array([{"bytes": None, "path": "a.png"}] * 4, pa.array(STRUCTS).type),
            "row 3: there is no image (its bytes are null; a path beside them is not followed)",
        ),
    ],
)
def test_columns_that_hold_no_images(tmp_path, images, message):
    write(tmp_path, images)
    assert message in refusal("parquet", tmp_path)


@pytest.mark.parametrize(
    "labels",
    [pa.array([0, 1, 2, 2], kind()) for kind in (pa.int8, pa.int16, pa.int32, pa.uint8, pa.uint32, pa.uint64)]
    + [pa.array([0, 1, 2, 2]).dictionary_encode()],
    ids=str,
)
def test_labels_of_every_whole_type(tmp_path, labels):
    write(tmp_path, labels=labels)
    assert contents("parquet", tmp_path).train_counts == {0: 1, 1: 1, 2: 2}


def test_truth_values_are_the_labels_0_and_1(tmp_path):
    write(tmp_path, labels=[True, False, True, True])
    assert contents("parquet", tmp_path).train_counts == {0: 1, 1: 3}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.0, 1.0, 0.0], "labels are double, not whole numbers; number the classes from 0"),
        (["a", "b", "a", "b"], "labels are string, not whole numbers"),
        (pa.array(["a", "b", "a", "b"]).dictionary_encode(), "labels are string, not whole numbers"),
        ([[0], [1], [0], [1]], "labels are list<"),
        (pa.nulls(4), "labels are null, not whole numbers"),
        ([0, None, 1, None], "2 labels are missing"),
        ([-1] * 4, "labels go down to -1 (-1 marks images without a label); they count from 0"),
        ([-7, 0, 0, 0], "labels go down to -7; they count from 0"),
    ],
    ids=str,
)
def test_labels_that_are_no_classes(tmp_path, labels, message):
    write(tmp_path, labels=labels)
    assert message in refusal("parquet", tmp_path)


def test_a_test_split_without_labels_names_the_split_that_could_be_used(tmp_path):
    write(tmp_path)
    (tmp_path / "validation.parquet").write_bytes((tmp_path / "test.parquet").read_bytes())
    pq.write_table(pa.table({"image": STRUCTS, "label": [-1] * 4}), tmp_path / "test.parquet")
    assert "move the test split out of the folder, and validation is used in its place" in refusal("parquet", tmp_path)


def test_the_order_of_columns_makes_no_difference(tmp_path):
    table = pa.table({"label": [1, 0, 1, 0], "extra": [1] * 4, "image": STRUCTS})
    for split in ("train", "test"):
        pq.write_table(table, tmp_path / f"{split}.parquet")
    assert contents("parquet", tmp_path).train_counts == {0: 2, 1: 2}


class TestClassNames:
    def test_names_in_the_hubs_metadata(self, tmp_path):
        write(tmp_path, names=["cat", "dog"])
        assert contents("parquet", tmp_path).class_names == ("cat", "dog")

    def test_names_of_classes_without_images_are_stated(self, tmp_path):
        write(tmp_path, names=["cat", "dog", "emu"])
        assert "the files name 3 classes, and the labels are 0 .. 1" in contents("parquet", tmp_path).notes

    def test_files_that_number_the_classes_in_two_ways_are_refused(self, tmp_path):
        write(tmp_path, names=["cat", "dog"])
        (tmp_path / "train.parquet").rename(tmp_path / "kept")
        write(tmp_path, names=["dog", "cat"])
        (tmp_path / "kept").rename(tmp_path / "train.parquet")
        assert "test.parquet: its labels are dog, cat, those of" in refusal("parquet", tmp_path)

    def test_damaged_metadata_are_ignored(self, tmp_path):
        write(tmp_path)
        for metadata in (b"{", b"[]", b'{"info": null}'):
            table = pq.read_table(tmp_path / "train.parquet").replace_schema_metadata({"huggingface": metadata})
            pq.write_table(table, tmp_path / "train.parquet")
            assert contents("parquet", tmp_path).class_names == ()


def test_columns_that_could_also_be_meant_are_stated(tmp_path):
    write(tmp_path, fine_label=[0] * 4)
    assert "the columns image and label are read, and fine_label not" in contents("parquet", tmp_path).notes


def test_files_with_other_columns_are_refused(tmp_path):
    write(tmp_path)
    pq.write_table(pa.table({"img": STRUCTS, "label": [0, 1, 0, 1]}), tmp_path / "test.parquet")
    assert "its columns are img and label, in" in refusal("parquet", tmp_path)


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    write(tmp_path)
    pq.write_table(pa.table([STRUCTS, [0] * 4, [1] * 4], ["image", "label", "label"]), tmp_path / "test.parquet")
    assert "test.parquet has 2 columns label" in refusal("parquet", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"x" * 100])
def test_a_file_that_is_no_parquet_is_named(tmp_path, damage):
    write(tmp_path)
    (tmp_path / "test.parquet").write_bytes(damage)
    assert f"{tmp_path}/test.parquet can't be read as Parquet: " in refusal("parquet", tmp_path)


def test_a_file_with_damaged_pages_is_named(tmp_path):
    write(tmp_path)
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[4:100] = b"\xff" * 96
    (tmp_path / "train.parquet").write_bytes(content)
    assert f"{tmp_path}/train.parquet can't be read as Parquet: " in refusal("parquet", tmp_path)


def test_files_without_rows_are_refused_if_they_are_all_of_a_split(tmp_path):
    write(tmp_path)
    pq.write_table(pq.read_table(tmp_path / "test.parquet").slice(0, 0), tmp_path / "test.parquet")
    assert f"no images in the test files of {tmp_path}" in refusal("parquet", tmp_path)


@pytest.mark.parametrize(
    "empty",
    [
        pa.table({"image": pa.nulls(0), "label": pa.nulls(0)}),  # as pandas writes an empty frame
        pa.table({}),
        pa.table({"image": pa.array([], pa.string()), "label": pa.array([], pa.string())}),
    ],
    ids=["null", "none", "text"],
)
@pytest.mark.parametrize("place", ["train-0-of-2", "train-1-of-2"])
def test_the_columns_of_a_file_without_rows_make_no_difference(tmp_path, empty, place):
    write(tmp_path)
    other = {"train-0-of-2": "train-1-of-2", "train-1-of-2": "train-0-of-2"}[place]
    (tmp_path / "train.parquet").rename(tmp_path / f"{other}.parquet")
    pq.write_table(empty, tmp_path / f"{place}.parquet")
    data = contents("parquet", tmp_path)
    assert data.train_counts == {0: 2, 1: 2}
    images, labels = read_parquet(tmp_path, "train", *data.shape[:1], data.classes)
    assert (images.shape, labels.tolist()) == ((4, 3, 4, 6), [0, 1, 0, 1])


class TestNamesOfColumns:
    def write_declared(self, folder: Path, **features: str) -> None:
        write(folder)
        info = {"info": {"features": {name: {"_type": kind} for name, kind in features.items()}}}
        for split in ("train", "test"):
            table = pq.read_table(folder / f"{split}.parquet").rename_columns(["webp", "cls"])
            pq.write_table(
                table.replace_schema_metadata({"huggingface": json.dumps(info)}), folder / f"{split}.parquet"
            )

    def test_columns_of_other_names_that_the_hub_declares(self, tmp_path):
        self.write_declared(tmp_path, webp="Image", cls="ClassLabel")
        data = contents("parquet", tmp_path)
        assert data.train_counts == {0: 2, 1: 2}
        assert read_parquet(tmp_path, "train", 3, 2)[1].tolist() == [0, 1, 0, 1]

    @pytest.mark.parametrize(
        ("features", "message"),
        [
            ({}, "has no column image or img; it has webp, cls: rename the column of images to image"),
            ({"webp": "Image"}, "has no column label or labels or fine_label; it has webp, cls: rename the column of"),
            ({"webp": "Image", "cls": "Value"}, "rename the column of labels to label"),
            ({"webp": "Image", "cls": "Image"}, "has no column image or img"),
        ],
    )
    def test_columns_that_are_not_declared(self, tmp_path, features, message):
        self.write_declared(tmp_path, **features)
        assert message in refusal("parquet", tmp_path)
