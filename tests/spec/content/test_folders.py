"""What counts as a data set in a folder: shards, splits, classes, labels and images, each read or refused by name."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweeper.errors import DataError
from sweeper.spec.content.folders import Contents, contents, list_files


def encode(value: int = 0, mode: str = "RGB", size: tuple[int, int] = (6, 4), form: str = "PNG", **save) -> bytes:
    content = BytesIO()
    color = {"RGB": (value, 0, 255), "RGBA": (value, 0, 0, 0), "L": value, "I;16": 40_000}[mode]
    Image.new(mode, size, color).save(content, form, **save)
    return content.getvalue()


def write_parquet(file: Path, labels: list[int | None], images: list[bytes | None] | None = None) -> None:
    """Write a file of images with labels in the Hugging Face layout; the images are colour unless given."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [encode(row) for row in range(len(labels))] if images is None else images
    rows = pa.array([{"bytes": image, "path": None} for image in images], pa.struct([("bytes", pa.binary())]))
    pq.write_table(pa.table({"image": rows, "label": pa.array(labels, pa.int64())}), file)


def rewrite(file: Path, **columns) -> None:
    table = pq.read_table(file)
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, file)


def refusal(kind: str, folder: Path) -> str:
    """Return the message with which a folder is refused."""
    with pytest.raises(DataError) as error:
        contents(kind, folder)
    return str(error.value)


class TestParquetFiles:
    def test_a_folder(self, parquet_folder):
        data = contents("parquet", parquet_folder)
        assert (data.train, data.test, data.classes, data.shape) == (24, 6, 3, (3, 4, 6))
        names = ["train-00000.parquet", "train-00001.parquet", "test-00000.parquet"]
        assert [file.name for file in data.files] == names
        assert list(list_files("parquet", parquet_folder)) == list(data.files)
        assert (data.left_out, data.notes) == ((), ())

    def test_a_checkout_of_the_hub(self, parquet_folder):
        for file in list(parquet_folder.glob("*.parquet")):
            target = parquet_folder / "data" / file.name.replace("test", "validation")
            target.parent.mkdir(exist_ok=True)
            file.rename(target)
        data = contents("parquet", parquet_folder)
        assert (data.test, data.files[-1].name) == (6, "validation-00000.parquet")

    def test_the_hubs_converted_files(self, tmp_path):
        write_parquet(tmp_path / "train" / "0000.parquet", [0, 1])
        write_parquet(tmp_path / "train" / "0001.parquet", [1, 1])
        write_parquet(tmp_path / "test" / "0000.parquet", [0, 1, 1])
        data = contents("parquet", tmp_path)
        assert (data.train, data.test) == (4, 3)

    def test_files_of_other_splits_are_left_out_and_named(self, parquet_folder):
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

    def test_hidden_files_are_no_data(self, parquet_folder):
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
    def test_names_of_a_split(self, tmp_path, names):
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
    def test_shards_that_are_missing_or_doubled(self, tmp_path, names, message):
        for name in names:
            write_parquet(tmp_path / f"{name}.parquet", [0, 1])
        write_parquet(tmp_path / "test.parquet", [0, 1])
        assert message in refusal("parquet", tmp_path)

    def test_an_empty_shard(self, tmp_path):
        write_parquet(tmp_path / "train-00000-of-00002.parquet", [])
        write_parquet(tmp_path / "train-00001-of-00002.parquet", [0, 1, 1])
        write_parquet(tmp_path / "test.parquet", [0, 1])
        assert (contents("parquet", tmp_path).train, contents("parquet", tmp_path).test) == (3, 2)

    @pytest.mark.parametrize(("image", "label"), [("img", "fine_label"), ("image", "labels")])
    def test_names_of_columns(self, parquet_folder, image, label):
        for file in parquet_folder.glob("*.parquet"):
            pq.write_table(pq.read_table(file).rename_columns([image, label]), file)
        assert contents("parquet", parquet_folder).classes == 3

    def test_images_as_plain_bytes(self, parquet_folder):
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
            (lambda folder: rewrite(folder / "train-00000.parquet", image=[3] * 16), "holds no encoded image"),
            (
                lambda folder: pq.write_table(pa.table({"x": [1]}), folder / "train-00000.parquet"),
                "has no column image or img; it has x",
            ),
        ],
    )
    def test_folders_that_are_no_data_set(self, parquet_folder, spoil, message):
        spoil(parquet_folder)
        assert message in refusal("parquet", parquet_folder)


class TestImageFolders:
    def test_a_folder(self, image_folder):
        data = contents("imagefolder", image_folder)
        assert (data.train, data.test, data.classes, data.shape) == (20, 4, 2, (1, 4, 6))
        assert (data.class_names, data.train_counts) == (("cat", "dog"), {0: 10, 1: 10})
        assert list(list_files("imagefolder", image_folder)) == list(data.files)

    def test_images_in_folders_within_a_class_count(self, image_folder):
        nested = image_folder / "train" / "cat" / "images" / "deep"
        nested.mkdir(parents=True)
        for file in list((image_folder / "train" / "cat").glob("*.png")):
            file.rename(nested / file.name)
        assert contents("imagefolder", image_folder).train_counts == {0: 10, 1: 10}

    def test_what_is_not_read_is_named(self, image_folder):
        (image_folder / "train" / "cat" / "README.txt").write_text("cats")
        (image_folder / "train" / ".DS_Store").write_text("")
        (image_folder / "train" / ".ipynb_checkpoints").mkdir()
        (image_folder / "masks").mkdir()
        (image_folder / "train" / "loose.png").write_bytes(encode())
        data = contents("imagefolder", image_folder)
        left_out = {"train/cat/README.txt", "train/.DS_Store", "train/.ipynb_checkpoints", "masks/", "train/loose.png"}
        assert (data.train, data.classes, set(data.left_out)) == (20, 2, left_out)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda folder: (folder / "val" / "bird").mkdir(), "bird is a class that"),
            (lambda folder: (folder / "train" / "bird").mkdir(), "bird has no images (.bmp, "),
            (lambda folder: (folder / "train" / ".b").mkdir() or png_in(folder / "train" / ".b"), "the hidden folder"),
            (
                lambda folder: (folder / "train" / "cat" / ".b").mkdir() or png_in(folder / "train" / "cat" / ".b"),
                "is an image in a hidden folder; remove the folder .b",
            ),
            (lambda folder: (folder / "train").rename(folder / "images"), "no folder train in"),
            (
                lambda folder: (folder / "train" / "cat" / "up").symlink_to(folder / "train" / "cat"),
                "a link to a folder",
            ),
        ],
    )
    def test_folders_that_are_refused(self, image_folder, spoil, message):
        spoil(image_folder)
        assert message in refusal("imagefolder", image_folder)

    def test_a_flat_folder_is_told_the_layout(self, tmp_path):
        png_in(tmp_path)
        message = refusal("imagefolder", tmp_path)
        assert "expected FOLDER/train/CLASS/IMAGE.png and FOLDER/test/CLASS/IMAGE.png" in message
        assert "it has a.png" in message
        (tmp_path / "train").mkdir()
        (tmp_path / "test").mkdir()
        png_in(tmp_path / "train")
        assert "has no folder for each class; expected FOLDER/train/CLASS" in refusal("imagefolder", tmp_path)

    def test_a_folder_that_does_not_exist(self, tmp_path):
        assert "there is no folder" in refusal("imagefolder", tmp_path / "none")


def png_in(folder: Path) -> None:
    (folder / "a.png").write_bytes(encode())


class TestLabels:
    def data(self, folder: Path, train: list[int | None], test: list[int | None]) -> Contents:
        write_parquet(folder / "train.parquet", train)
        write_parquet(folder / "test.parquet", test)
        return contents("parquet", folder)

    def test_classes_are_counted(self, tmp_path):
        data = self.data(tmp_path, [0, 1, 1, 2], [2, 0, 1])
        assert (data.classes, data.train_counts, data.test_counts) == (3, {0: 1, 1: 2, 2: 1}, {0: 1, 1: 1, 2: 1})
        assert data.notes == ()

    def test_a_gap_is_stated(self, tmp_path):
        data = self.data(tmp_path, [1, 5, 9], [9, 5, 1])
        assert data.classes == 10
        (note,) = data.notes
        assert note.startswith("3 classes are present; no image has the label 0, 2, 3, 4, 6, 7, 8")

    @pytest.mark.parametrize("label", [1_000_000, 2**62, 30])
    def test_an_absurd_label_is_refused(self, tmp_path, label):
        with pytest.raises(DataError, match=rf"only 3 of the labels 0 .. {label} have images \(0, 1, {label}\)"):
            self.data(tmp_path, [0, 1, label], [0, 1])

    def test_one_class_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="all images have the label 0: a classifier needs at least two classes"):
            self.data(tmp_path, [0, 0], [0])

    def test_a_class_of_one_split_is_stated(self, tmp_path):
        data = self.data(tmp_path, [0, 1, 2], [0, 1])
        assert data.notes == ("the label 2 has train images and no test images",)


class TestImages:
    def folder(self, root: Path, *images: bytes | None) -> Path:
        good = encode(7, "RGB")
        write_parquet(root / "train.parquet", [0, 1] * len(images), [kind for one in images for kind in (good, one)])
        write_parquet(root / "test.parquet", [0, 1], [good, good])
        return root

    @pytest.mark.parametrize("first", ["grey", "colour"])
    def test_a_set_with_one_colour_image_is_read_in_colour(self, image_folder, first):
        file = image_folder / "train" / ("dog" if first == "grey" else "cat") / "0.png"
        file.write_bytes(encode(200))
        data = contents("imagefolder", image_folder)
        assert data.shape == (3, 4, 6)
        assert data.notes == ("23 of 24 images are grey; they are read as colour, like the others",)

    @pytest.mark.parametrize(
        ("image", "problem"),
        [
            (None, "there is no image (null)"),
            (b"", "the image is empty (0 bytes)"),
            (encode(5)[:-30], "the image can't be decoded: "),
            (b"no image", "the image can't be decoded: it is no image of a known format"),
            (encode(0, "I;16"), "the image has more than 8 bits a channel (mode I;16)"),
            (encode(0, size=(5, 4)), "the image has 5 x 4 pixels, 5 of 6 images have 6 x 4"),
        ],
    )
    def test_an_image_that_cannot_be_used_is_named(self, tmp_path, image, problem):
        message = refusal("parquet", self.folder(tmp_path, encode(3), image))
        assert message.startswith(f"{tmp_path}/train.parquet, row 3: {problem}")
        assert refusal("parquet", tmp_path) == message, "the second look uses the cached result of the first"

    def test_all_of_them_are_listed(self, tmp_path):
        message = refusal("parquet", self.folder(tmp_path, None, b"", encode(5)[:-30], encode(size=(9, 9))))
        assert [line.split(":")[0].split()[-1] for line in message.splitlines()] == ["1", "3", "5", "7"]

    def test_a_file_of_macos_is_named(self, image_folder):
        (image_folder / "train" / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
        message = refusal("imagefolder", image_folder)
        assert message.endswith(
            "cat/._0.png: macOS's notes on a file, not an image; delete the files whose names start with ._"
        )

    @pytest.mark.parametrize(
        ("kind", "rule"), [("parquet", "applied, as Hugging Face"), ("imagefolder", "ignored, as")]
    )
    def test_a_rotation_is_stated(self, tmp_path, image_folder, kind, rule):
        exif = Image.Exif()
        exif[0x0112] = 3
        rotated = encode(9, form="JPEG", exif=exif)
        folder = self.folder(tmp_path, rotated) if kind == "parquet" else image_folder
        (image_folder / "train" / "cat" / "x.jpg").write_bytes(rotated)
        notes = contents(kind, folder).notes
        assert any(note.startswith(f"1 images ask for a rotation (EXIF), which is {rule}") for note in notes)

    def test_transparency_is_stated(self, tmp_path):
        (note,) = contents("parquet", self.folder(tmp_path, encode(9, "RGBA"))).notes
        assert note.startswith("1 images have transparent pixels, whose hidden colours are used")

    def test_the_range_of_values(self, tmp_path):
        assert contents("parquet", self.folder(tmp_path, encode(3))).value_range == (0, 255)


def test_real_images():
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        pytest.skip("SWEEPER_CIFAR10 doesn't name a folder of CIFAR-10 in Parquet files")
    data = contents("parquet", Path(folder))
    assert (data.train, data.test, data.classes, data.shape) == (50_000, 10_000, 10, (3, 32, 32))
    assert np.unique(list(data.train_counts.values())).tolist() == [5_000]
