"""Random data sets in folders: what Sweeper reads equals what the field's usual readers read, or it is refused.

The readers are torchvision's `ImageFolder`, and pyarrow with Pillow. Each random data set is described by a value
first, so that the tests also know which of them must be refused.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder

from sweeper.cli.data import print_data
from sweeper.errors import DataError, SweeperError
from sweeper.spec.content.folders import Contents, contents
from sweeper.trials.data.folders import Split, read_image_folder, read_parquet

WIDTH, HEIGHT = 3, 2
GREY, COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "CMYK")
FORMS = {"CMYK": "JPEG"}  # the others are PNG

TEST_WORDS = ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev")


@dataclass(frozen=True)
class Picture:
    """A random image, and whether it can be used."""

    mode: str
    seed: int
    orientation: int = 1
    fault: str = ""  # "empty", "text", "deep" or "size"

    def encode(self) -> bytes:
        """Return the file's bytes."""
        if self.fault in ("empty", "text"):
            return b"" if self.fault == "empty" else b"no image"
        width = WIDTH + (self.fault == "size")
        values = np.random.default_rng(self.seed).integers(0, 256, (HEIGHT, width, 4), dtype=np.uint8)
        image = Image.fromarray(values, "RGBA").convert("RGB" if self.mode in ("P", "CMYK") else "RGBA")
        image = image.convert(self.mode)
        if self.fault == "deep":
            image = Image.fromarray(values[..., 0].astype(np.uint16) * 256)
        exif = Image.Exif()
        if self.orientation > 1:
            exif[0x0112] = self.orientation
        content = BytesIO()
        image.save(
            content,
            FORMS.get(self.mode, "PNG") if not self.fault else "PNG" if self.mode != "CMYK" else "TIFF",
            exif=exif,
        )
        return content.getvalue()


def pictures(modes: tuple[str, ...], orientations: tuple[int, ...]) -> st.SearchStrategy[Picture]:
    """Return images without faults. Turned by 90 degrees they would differ in size, so these turns are left out."""
    return st.builds(Picture, st.sampled_from(modes), st.integers(0, 99), st.sampled_from(orientations))


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that is empty in each example."""
    folder = Path(mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def as_colour(images: np.ndarray) -> np.ndarray:
    """Return images (n, c, h, w) with three channels."""
    return np.broadcast_to(images, (len(images), 3, *images.shape[2:]))


def check_refusal(kind: str, folder: Path) -> None:
    """Check that a data set is refused, by the package with a DataError and by the command with exit code 2."""
    with pytest.raises(DataError) as error:
        contents(kind, folder)
    assert str(error.value)
    with pytest.raises(SweeperError) as command_error:
        print_data(str(folder), json=True, sheet=None)
    assert command_error.value.exit_code == 2


# Image folders -----------------------------------------------------------------------------------------------------

CLASS_NAMES = ("a", "B", "b", "10", "9", "two words", "ä", "z.png", "猫", "-")
FOLDERS = ("", "images/", "x/y/", "deep.png/")
FILE_NAMES = ("0.png", "1.PNG", "10.jpg", "2.jpeg", "a.b.bmp", "é.webp", " .tif", ".hidden.png", "Z.TIFF")
OTHER_FILES = ("notes.txt", "picture.gif", "Thumbs.db", ".DS_Store")

Class = dict[str, Picture]  # by path in the folder of the class


@dataclass(frozen=True)
class RandomImageFolder:
    """An image folder: classes of two splits, other files, and a reason to refuse it."""

    train_word: str
    test_word: str
    train: dict[str, Class]
    test: dict[str, Class]
    others: tuple[str, ...]
    fault: str


@st.composite
def image_folders(draw: st.DrawFn) -> RandomImageFolder:
    modes = draw(st.sampled_from([GREY, COLOUR, GREY + COLOUR]))
    paths = st.builds(str.__add__, st.sampled_from(FOLDERS), st.sampled_from(FILE_NAMES))
    classes = st.dictionaries(paths, pictures(modes, (1, 1, 3)), min_size=1, max_size=3)
    names = draw(st.lists(st.sampled_from(CLASS_NAMES), min_size=2, max_size=4, unique=True))
    train = {name: draw(classes) for name in names}
    test_names = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    test = {name: draw(classes) for name in test_names}
    others = draw(st.lists(st.sampled_from(OTHER_FILES), unique=True, max_size=2))
    words = draw(st.sampled_from(["train", "Train", "training"])), draw(st.sampled_from([*TEST_WORDS, "TEST"]))
    fault = draw(st.sampled_from([""] * 12 + ["empty", "text", "deep", "size", "class", "hidden", "no class", "one"]))
    return RandomImageFolder(*words, train, test, tuple(others), fault)


def write_folder(spec: RandomImageFolder, folder: Path) -> None:
    for word, split in ((spec.train_word, spec.train), (spec.test_word, spec.test)):
        for name, images in split.items():
            for path, picture in images.items():
                write_file(folder / word / name / path, picture.encode())
    first = folder / spec.train_word / next(iter(spec.train))
    for name in spec.others:
        write_file(first / name, b"other")
        write_file(folder / name, b"other")
    match spec.fault:
        case "class":
            write_file(folder / spec.test_word / "new" / "0.png", Picture("L", 0).encode())
        case "hidden":
            write_file(first / ".checkpoints" / "0.png", Picture("L", 0).encode())
        case "no class":
            (folder / spec.train_word / "nothing").mkdir()
        case "one":
            for place in (*(folder / spec.train_word).iterdir(), *(folder / spec.test_word).iterdir()):
                if place.name != first.name:
                    shutil.rmtree(place)
            write_file(folder / spec.test_word / first.name / "0.png", Picture("L", 0).encode())
        case "":
            pass
        case fault:
            write_file(first / "fault.png", Picture("L", 0, fault=fault).encode())


def write_file(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def check_image_folder(spec: RandomImageFolder, folder: Path) -> None:
    data = contents("imagefolder", folder)
    reference = ImageFolder(folder / spec.train_word)
    assert list(data.class_names) == reference.classes
    for split, word, files in (("train", spec.train_word, data.train_files), ("test", spec.test_word, data.test_files)):
        expected = ImageFolder(folder / word)
        assert [str(file) for file in files] == [path for path, _ in expected.samples]
        read_images, read_labels = read_image_folder(folder, split, data.shape[0], data.classes)
        names = [data.class_names[label] for label in read_labels]
        assert names == [expected.classes[label] for _, label in expected.samples]
        pixels = np.stack([np.asarray(image).transpose(2, 0, 1) for image, _ in expected])
        assert np.array_equal(as_colour(read_images), pixels)
    every = [picture for split in (spec.train, spec.test) for images in split.values() for picture in images.values()]
    check_facts(data, every)


def check_facts(data: Contents, every: list[Picture]) -> None:
    """Check the channels and the notes that the description of the images lets expect."""
    assert data.shape == (1 if all(picture.mode in GREY for picture in every) else 3, HEIGHT, WIDTH)
    rotated = sum(picture.orientation > 1 for picture in every)
    assert sum(note.startswith(f"{rotated} image") and "EXIF" in note for note in data.notes) == (rotated > 0)


@given(image_folders())
@settings(max_examples=60)
def test_image_folders_are_read_as_torchvision_reads_them(spec):
    with scratch() as folder:
        write_folder(spec, folder)
        if spec.fault:
            check_refusal("imagefolder", folder)
        else:
            check_image_folder(spec, folder)


# Parquet files -----------------------------------------------------------------------------------------------------

SHARD_NAMES = (  # forms of the names of `of` files, each with a number `i`
    "{word}-{i:05}-of-{of:05}",
    "{word}-{i:05}-of-{of:05}-0a1b2c3d4e5f607{i}",
    "{word}_{i}",
    "{word}.{i}",
    "{word}{i}",
    "{word}-{i:03}.snappy",
    "{word}/{i:04}",
    "{word}/part-{i:05}-of-{of:05}",
    "{word}/deep/{i:04}",
    "{word} {i}",
    "{word}-part{i}",
    "data/{word}-{i}-of-{of}",
    "data/{word}/{i}",
)
PLACES = ("", "", "plain_text/", "deep/er/", "mnist-", "my.set_")  # what comes before the word of both splits
ONLY_BY_FOLDER = ("/", "-part")  # forms that a name with a beginning of its own can't have
IMAGE_TYPES = {
    "struct": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    "large struct": pa.struct([("bytes", pa.large_binary())]),
    "binary": pa.binary(),
    "large binary": pa.large_binary(),
    "dictionary": pa.dictionary(pa.int32(), pa.binary()),
}
LABEL_TYPES = {
    "int64": pa.int64(),
    "int8": pa.int8(),
    "uint64": pa.uint64(),
    "dictionary": pa.dictionary(pa.int8(), pa.int64()),
}
OTHER_SETS = ("train_unlabeled-00000-of-00001", "test_hard", "extra", "more/train-0", ".hidden/train-9", "trainer-1")

Row = tuple[Picture, int]


@dataclass(frozen=True)
class RandomParquet:
    """A Parquet data set: rows by shard of two splits, the forms of names and columns, and a reason to refuse it."""

    train: tuple[tuple[Row, ...], ...]
    test: tuple[tuple[Row, ...], ...]
    train_name: str
    test_name: str
    test_word: str
    columns: tuple[str, str]
    image_type: str
    label_type: str
    others: tuple[str, ...]
    fault: str
    place: str


@st.composite
def parquet_sets(draw: st.DrawFn) -> RandomParquet:
    modes = draw(st.sampled_from([GREY, COLOUR, GREY + COLOUR]))
    rows = st.lists(st.tuples(pictures(modes, (1, 1, 3)), st.integers(0, 3)), max_size=4).map(tuple)
    shards = st.lists(rows, min_size=1, max_size=3).map(tuple)
    train, test = draw(shards), draw(shards)
    both = ((Picture(modes[0], 1), 0), (Picture(modes[-1], 2), 1))  # so that there are two classes in each split
    faults = ["empty", "text", "deep", "size", "null", "missing", "twice", "label", "negative", "no rows"]
    forms = draw(st.sampled_from(SHARD_NAMES)), draw(st.sampled_from(SHARD_NAMES))
    place = draw(st.sampled_from(PLACES))
    if any(form.startswith("data/") for form in forms):
        place = ""
    if place.endswith(tuple("-_")) and any(mark in form for form in forms for mark in ONLY_BY_FOLDER):
        place = "deep/er/"
    return RandomParquet(
        (*train, both),
        (both, *test),
        *forms,
        draw(st.sampled_from(TEST_WORDS)),
        (draw(st.sampled_from(["image", "img"])), draw(st.sampled_from(["label", "labels", "fine_label"]))),
        draw(st.sampled_from(sorted(IMAGE_TYPES))),
        draw(st.sampled_from(sorted(LABEL_TYPES))),
        tuple(draw(st.lists(st.sampled_from(OTHER_SETS), unique=True, max_size=2))),
        draw(st.sampled_from([""] * 14 + faults)),
        place,
    )


def names_of(form: str, word: str, count: int) -> list[str]:
    return [form.format(word=word, i=i, of=count) + ".parquet" for i in range(count)]


def write_rows(spec: RandomParquet, file: Path, rows: tuple[Row, ...]) -> None:
    encoded = [None if picture.fault == "null" else picture.encode() for picture, _ in rows]
    kind = IMAGE_TYPES[spec.image_type]
    values = [{"bytes": content} for content in encoded] if pa.types.is_struct(kind) else encoded
    labels = pa.array([label for _, label in rows], pa.int64())
    if pa.types.is_dictionary(label_type := LABEL_TYPES[spec.label_type]):
        labels = labels.dictionary_encode()
    elif spec.fault != "negative":
        labels = labels.cast(label_type)
    images = (
        pa.array(encoded, pa.binary()).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(values, kind)
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    if not rows:  # as pandas writes an empty frame
        pq.write_table(pa.table({name: pa.nulls(0) for name in spec.columns}), file)
        return
    pq.write_table(pa.table(dict(zip(spec.columns, (images, labels), strict=True))), file, row_group_size=2)


def write_set(spec: RandomParquet, folder: Path) -> tuple[list[Path], list[Path]]:
    """Write a data set and return the files of its training and its test split, in order."""
    files = []
    for form, word, shards in ((spec.train_name, "train", spec.train), (spec.test_name, spec.test_word, spec.test)):
        rows = list(shards)
        if word == "train" and spec.fault in ("empty", "text", "deep", "size", "null"):
            rows[-1] = (*rows[-1], (Picture("L", 0, fault=spec.fault), 0))
        if word == "train" and spec.fault in ("label", "negative"):
            rows[-1] = (*rows[-1], (rows[-1][0][0], 100 if spec.fault == "label" else -1))
        if word == "train" and spec.fault == "no rows":
            rows = [()] * len(rows)
        files.append([folder / f"{spec.place}{name}" for name in names_of(form, word, len(shards))])
        for file, shard in zip(files[-1], rows, strict=True):
            write_rows(spec, file, shard)
    for name in spec.others:
        write_rows(spec, folder / f"{name}.parquet", spec.train[-1])
    if spec.fault == "twice":
        name = f"{spec.place.rpartition('/')[2]}train"
        shutil.copy(files[0][0], files[0][0].with_name(f"{name}.parquet"))
        shutil.copy(files[0][0], files[0][0].with_name(f"{name}-00000-of-{len(files[0]) + 1:05}.parquet"))
    if spec.fault == "missing":
        for file in files[1]:
            file.unlink()
    return files[0], files[1]


def plain_reader(files: list[Path], columns: tuple[str, str]) -> Split:
    """Read files with pyarrow and Pillow: images in colour (n, 3, h, w), and labels."""
    images, labels = [], []
    for file in files:
        table = pq.read_table(file)
        for value in table[columns[0]].to_pylist():
            with Image.open(BytesIO(value["bytes"] if isinstance(value, dict) else value)) as image:
                images.append(np.asarray(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1))
        labels += table[columns[1]].to_pylist()
    return np.stack(images), np.array(labels)


@given(parquet_sets())
@settings(max_examples=80)
def test_parquet_files_are_read_as_pyarrow_and_pillow_read_them(spec):
    with scratch() as folder:
        files = dict(zip(("train", "test"), write_set(spec, folder), strict=True))
        if spec.fault:
            check_refusal("parquet", folder)
            return
        data = contents("parquet", folder)
        assert [*data.files] == [*files["train"], *files["test"]]
        every = [picture for shards in (spec.train, spec.test) for shard in shards for picture, _ in shard]
        check_facts(data, every)
        for split, split_files in files.items():
            read_images, read_labels = read_parquet(folder, split, data.shape[0], data.classes)
            images, labels = plain_reader(split_files, spec.columns)
            assert np.array_equal(as_colour(read_images), images)
            assert np.array_equal(read_labels, labels)
            counts = data.train_counts if split == "train" else data.test_counts
            assert {label: int((labels == label).sum()) for label in set(labels.tolist())} == dict(counts)
