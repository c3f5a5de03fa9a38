"""Tests of the Parquet files that are a data set: names of splits, shards, columns."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.image_sets import refusal, rewrite, write_parquet

from sweeper.spec.content.folders import contents, list_files


def test_a_folder(parquet_folder):
    data = contents("parquet", parquet_folder)
    assert (data.train, data.test, data.classes, data.shape) == (24, 6, 3, (3, 4, 6))
    names = ["train-00000.parquet", "train-00001.parquet", "test-00000.parquet"]
    assert [file.name for file in data.files] == names
    assert list(list_files("parquet", parquet_folder)) == list(data.files)
    assert (data.left_out, data.notes) == ((), ())


def test_a_checkout_of_the_hub(parquet_folder):
    for file in list(parquet_folder.glob("*.parquet")):
        target = parquet_folder / "data" / file.name.replace("test", "validation")
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
    data = contents("parquet", parquet_folder)
    assert (data.test, data.files[-1].name) == (6, "validation-00000.parquet")


def test_the_hubs_converted_files(tmp_path):
    write_parquet(tmp_path / "train" / "0000.parquet", [0, 1])
    write_parquet(tmp_path / "train" / "0001.parquet", [1, 1])
    write_parquet(tmp_path / "test" / "0000.parquet", [0, 1, 1])
    data = contents("parquet", tmp_path)
    assert (data.train, data.test) == (4, 3)


def test_files_of_other_splits_are_left_out_and_named(parquet_folder):
    others = [
        "train_unlabeled-00000-of-00001.parquet",
        "test_hard-00000-of-00001.parquet",
        "training_notes.parquet",
        "train2-extra.parquet",
        "validation-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    for name in others:
        write_parquet(parquet_folder / name, [0, 1])
    data = contents("parquet", parquet_folder)
    assert (data.train, data.test) == (24, 6)
    assert set(data.left_out) == set(others)


def test_hidden_files_are_no_data(parquet_folder):
    (parquet_folder / "._train-00000.parquet").write_bytes(b"\0\5\x16\7")
    assert contents("parquet", parquet_folder).train == 24


@pytest.mark.parametrize(
    "names",
    [
        ["train"],
        ["train-00000-of-00002", "train-00001-of-00002"],
        ["train-00000-of-00002-0a1b2c3d4e5f6071", "train-00001-of-00002-8a1b2c3d4e5f6071"],
        ["train_0", "train_1"],
        ["train.0", "train.1"],
        ["train0", "train1"],
        ["train-1-of-2", "train-2-of-2"],
        ["train-a", "train-b"],
        ["train.snappy"],
        ["train-00000.zstd"],
    ],
)
def test_names_of_a_split(tmp_path, names):
    for name in names:
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    write_parquet(tmp_path / "test.parquet", [0, 1])
    data = contents("parquet", tmp_path)
    assert (data.train, [file.name for file in data.files[:-1]]) == (
        2 * len(names),
        [f"{n}.parquet" for n in names],
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train-00000-of-00005", "train-00001-of-00005", "train-00002-of-00005", "train-00004-of-00005"],
            "has 4 of the 5 train files; missing: train-00003-of-00005.parquet",
        ),
        (["train-00001-of-00002"], "missing: train-00000-of-00002.parquet"),
        (
            ["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"],
            "the train split more than once, as train-00000-of-00001.parquet and train-00000-of-00002.parquet, ",
        ),
        (["train", "train-00000-of-00001"], "more than once, as train-00000-of-00001.parquet and train.parquet"),
        (["train", "train-0", "train-1"], "more than once"),
        (["train-0-of-2-00112233", "train-0-of-2-44556677", "train-1-of-2-00112233"], "shard 0 of the train split"),
        (["train-00", "train-0"], "shard 0 of the train split more than once"),
        (
            ["train-00000-of-00002", "train-00001-of-00002", "train-00007-of-00002"],
            "3 train files named as parts of",
        ),
    ],
)
def test_shards_that_are_missing_or_doubled(tmp_path, names, message):
    for name in names:
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert message in refusal("parquet", tmp_path)


def test_an_empty_shard(tmp_path):
    write_parquet(tmp_path / "train-00000-of-00002.parquet", [])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", [0, 1, 1])
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert (contents("parquet", tmp_path).train, contents("parquet", tmp_path).test) == (3, 2)


@pytest.mark.parametrize(("image", "label"), [("img", "fine_label"), ("image", "labels")])
def test_names_of_columns(parquet_folder, image, label):
    for file in parquet_folder.glob("*.parquet"):
        pq.write_table(pq.read_table(file).rename_columns([image, label]), file)
    assert contents("parquet", parquet_folder).classes == 3


def test_images_as_plain_bytes(parquet_folder):
    for file in parquet_folder.glob("*.parquet"):
        rewrite(file, image=[row["bytes"] for row in pq.read_table(file)["image"].to_pylist()])
    assert contents("parquet", parquet_folder).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: [file.unlink() for file in folder.glob("test*")], "no test files in"),
        (lambda folder: [file.unlink() for file in folder.glob("*")], "no train files in"),
        (lambda folder: (folder / "train-00001.parquet").write_bytes(b"PAR1"), "can't be read as Parquet"),
        (lambda folder: rewrite(folder / "test-00000.parquet", label=["a"] * 6), "labels are string"),
        (lambda folder: rewrite(folder / "test-00000.parquet", label=[-1] * 6), "labels go down to -1"),
        (
            lambda folder: rewrite(folder / "test-00000.parquet", label=[None, 1, 1, 1, 1, 1]),
            "1 labels are missing",
        ),
        (
            lambda folder: rewrite(folder / "train-00000.parquet", image=[3] * 16),
            "the column image is int64, not encoded images",
        ),
        (
            lambda folder: pq.write_table(pa.table({"x": [1]}), folder / "train-00000.parquet"),
            "has no column image or img; it has x",
        ),
    ],
)
def test_folders_that_are_no_data_set(parquet_folder, spoil, message):
    spoil(parquet_folder)
    assert message in refusal("parquet", parquet_folder)
