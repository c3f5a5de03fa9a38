"""Tests of the Parquet files that are a data set: names of splits, shards, columns."""

from pathlib import Path

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


def write_sets(folder: Path, *names: str) -> Path:
    for name in names:
        write_parquet(folder / f"{name}.parquet", [0, 1])
    return folder


def names_read(folder: Path) -> list[str]:
    return [str(file.relative_to(folder).with_suffix("")) for file in contents("parquet", folder).files]


@pytest.mark.parametrize(
    "names",
    [
        ["plain_text/train-00000-of-00001", "plain_text/test-00000-of-00001"],  # as the hub stores CIFAR-10
        ["default/train/0000", "default/test/0000"],  # as the hub converts data sets
        ["mnist/1.0/train", "mnist/1.0/test"],
        ["mnist-train", "mnist-test"],
        ["cifar10_train-0-of-2", "cifar10_train-1-of-2", "cifar10_validation"],
        ["data/mnist-train", "data/mnist-test"],
        ["train/a/0", "train/b/0", "test/0"],
        ["train (1)", "test (1)"],
        ["train 0", "train 1", "test"],
        ["train", "data/test"],
        ["data/train", "test"],
    ],
)
def test_places_of_both_splits(tmp_path, names):
    assert names_read(write_sets(tmp_path, *names)) == names


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["train", "data/train", "data/test"], ["data/train", "data/test"]),  # not a training split of another set
        (["train", "test", "plain_text/train", "plain_text/test"], ["train", "test"]),
        (["train", "train (1)", "train copy", "test"], ["train", "test"]),
        (["train", "test", "mnist-train", "mnist-test"], ["train", "test"]),
        (["en/train", "en/test", "fr/train"], ["en/train", "en/test"]),
        (["mnist-train", "mnist-test", "fashion-test"], ["mnist-train", "mnist-test"]),
        (["train", "training", "test", "testing", "val"], ["train", "test"]),
        (["train-0-of-1", "train-0-of-1 (1)", "test"], ["train-0-of-1", "test"]),
    ],
)
def test_files_of_other_sets_are_left_out_and_named(tmp_path, names, read):
    folder = write_sets(tmp_path / "hub", *names)
    assert names_read(folder) == read
    assert {*contents("parquet", folder).left_out} == {f"{name}.parquet" for name in names if name not in read}


@pytest.mark.parametrize(
    ("names", "firsts"),
    [
        (["en/train-0", "en/test", "fr/train-0", "fr/test"], "en/train-0.parquet, fr/train-0.parquet"),
        (["data/en/train", "data/en/test", "data/fr/train", "data/fr/test"], "data/en/train.parquet, data/fr/train"),
        (["mnist-train", "mnist-test", "fashion-train", "fashion-test"], "fashion-train.parquet, mnist-train.parquet"),
    ],
)
def test_several_data_sets_in_one_folder_are_refused(tmp_path, names, firsts):
    message = refusal("parquet", write_sets(tmp_path, *names))
    assert f"{tmp_path} has several data sets, with the training files {firsts}" in message


@pytest.mark.parametrize("names", [["pretrain", "pretest"], ["mnist-train", "cifar-test"], ["split=train/0", "x/test"]])
def test_names_that_no_split_has(tmp_path, names):
    assert "no train files in" in refusal("parquet", write_sets(tmp_path, *names))


def test_what_writers_leave_beside_their_files_is_no_data(tmp_path):
    folder = write_sets(
        tmp_path, "train.parquet/part-00000-3f1c-c000.snappy", "test.parquet/part-00000-3f1c-c000.snappy"
    )
    for name in ("_SUCCESS", ".part-00000.parquet.crc", "_metadata", ".ipynb_checkpoints/part-9.parquet"):
        (folder / "train.parquet" / name).parent.mkdir(exist_ok=True)
        (folder / "train.parquet" / name).write_bytes(b"x")
    (folder / "train.parquet.incomplete").write_bytes(b"x")
    data = contents("parquet", folder)
    assert (data.train, data.test, data.left_out) == (2, 2, ())


def test_folders_beside_the_files_are_named(parquet_folder):
    (parquet_folder / "images").mkdir()
    (parquet_folder / ".cache").mkdir()
    assert contents("parquet", parquet_folder).left_out == ("images/",)


def test_a_link_from_a_folder_into_itself_is_harmless(parquet_folder):
    (parquet_folder / "data").symlink_to(parquet_folder)
    assert contents("parquet", parquet_folder).train == 24


def test_a_link_to_nothing_is_named(parquet_folder):
    (parquet_folder / "test-00000.parquet").unlink()
    (parquet_folder / "test-00000.parquet").symlink_to("nowhere")
    assert refusal("parquet", parquet_folder).endswith("test-00000.parquet can't be read: No such file or directory")


def test_a_folder_that_cannot_be_read_is_named(parquet_folder, monkeypatch):
    def walk(folder, onerror, **_):
        onerror(PermissionError(13, "Permission denied", f"{folder}/lost+found"))
        onerror(PermissionError(13, "Permission denied", f"{folder}/data"))

    monkeypatch.setattr("sweeper.spec.content.parquet_files.os.walk", walk)
    assert refusal("parquet", parquet_folder).endswith("hub/data can't be read: Permission denied")
