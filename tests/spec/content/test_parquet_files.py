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


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["Train.parquet", "TEST.PARQUET"], ["Train.parquet", "TEST.PARQUET"]),
        (["train.parquet", "valid.parquet"], ["train.parquet", "valid.parquet"]),
        (["train.parquet", "dev.parquet", "validation.parquet"], ["train.parquet", "validation.parquet"]),
        (["training-0.parquet", "testing-0.parquet"], ["training-0.parquet", "testing-0.parquet"]),
        (["train/a.parquet", "train/b.parquet", "test/a.parquet"], ["a.parquet", "b.parquet", "a.parquet"]),
        (["train/resnet18_a.parquet", "train/resnet18_b.parquet", "test.parquet"], None),
        (["train/cat_1.parquet", "train/dog_1.parquet", "test.parquet"], None),
        (["train.parquet/part-00000-0a1b-c000.snappy.parquet", "train.parquet/_SUCCESS", "test.parquet"], None),
        (["data/train/0000.parquet", "data/test/0000.parquet"], ["0000.parquet", "0000.parquet"]),
        (["train-0a1b2c3d.parquet", "train-12345678.parquet", "test.parquet"], None),
        (["train/0.parquet", "train-notes.parquet", "test.parquet"], ["0.parquet", "test.parquet"]),
        (["train-1.parquet", "train-2.parquet", "test-1.parquet"], None),
    ],
)
def test_names_that_other_tools_write(tmp_path, names, read):
    for name in names:
        write_parquet(tmp_path / name, [0, 1])
    files = [file.name for file in contents("parquet", tmp_path).files]
    assert files == (read or [name.split("/")[-1] for name in names if name.endswith(".parquet")])


@pytest.mark.parametrize(
    "names",
    [
        ["train.parquet", "Train.parquet"],
        ["train.parquet", "train.snappy.parquet"],
        ["train.parquet", "train-0a1b2c3d.parquet"],
        ["train/0000.parquet", "train/train-0000-of-0001.parquet"],
        ["train/x.parquet", "train/x-0.parquet"],
        ["train-0.parquet", "train-0.gz.parquet"],
        ["train-1-of-1.parquet", "train-0-of-1.parquet"],
    ],
)
def test_copies_of_a_split_are_refused(tmp_path, names):
    for name in [*names, "test.parquet"]:
        write_parquet(tmp_path / name, [0, 1])
    message = refusal("parquet", tmp_path)
    assert "more than once" in message or "2 train files named as parts of 1" in message
    assert all(name.split("/")[-1] in message for name in names)


def test_numbers_with_gaps_are_stated(tmp_path):
    for name in ("train-0", "train-1", "train-4", "test"):
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    assert contents("parquet", tmp_path).notes == ("the numbers of the train files have gaps: 2, 3",)


def test_a_missing_shard_with_a_hash_is_named_with_a_star(tmp_path):
    write_parquet(tmp_path / "train-00001-of-00002-0a1b2c3d4e5f6071.parquet", [0, 1])
    assert "missing: train-00000-of-00002-*.parquet" in refusal("parquet", tmp_path)


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (["en/train-0.parquet", "fr/train-0.parquet"], "it has en/train-0.parquet, fr/train-0.parquet"),
        (["data/en/train-0.parquet", "data/fr/train-0.parquet"], "it has data/en/train-0.parquet, data/fr/train-0"),
        (["default/train/0000.parquet"], "it has default/train/0000.parquet"),
        (["a.csv", "b.csv"], "it has a.csv, b.csv"),
        ([], "it has nothing"),
    ],
)
def test_what_a_folder_has_instead_is_named(tmp_path, names, seen):
    (tmp_path / "set").mkdir()
    for name in names:
        write_parquet(tmp_path / "set" / name, [0, 1])
    assert seen in refusal("parquet", tmp_path / "set")


def test_empty_shards_anywhere_are_read(tmp_path):
    for i, labels in enumerate([[], [0, 1], [], [1], []]):
        write_parquet(tmp_path / f"train-{i}-of-5.parquet", labels)
    write_parquet(tmp_path / "test-0-of-2.parquet", [])
    write_parquet(tmp_path / "test-1-of-2.parquet", [0, 1])
    assert contents("parquet", tmp_path).train_counts == {0: 1, 1: 2}
