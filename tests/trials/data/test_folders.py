"""Tests of folders of images: pixels and labels are exact, and errors name the file and the row."""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweeper.errors import DataError
from sweeper.trials.data import folders

SHAPES = {1: (7, 5), 3: (7, 5, 3)}  # by the number of channels, in Pillow's order: height, width, channels


def pictures(count: int, channels: int, seed: int = 0) -> np.ndarray:
    """Random images uint8 (count, h, w) or (count, h, w, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPES[channels]), dtype=np.uint8)


def png(picture: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def write(file: Path, encoded: Sequence[bytes | None], labels: pa.Array, column: str = "image", struct: bool = True):
    """Write a Parquet file of encoded images, in the Hugging Face layout or in a plain binary column."""
    values = pa.array(encoded, pa.binary())
    if struct:
        values = pa.StructArray.from_arrays([values, pa.nulls(len(encoded), pa.string())], ["bytes", "path"])
    pq.write_table(pa.table({column: values, "label": labels}), file, row_group_size=3)


def channels_first(images: np.ndarray) -> np.ndarray:
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("struct", [True, False])
@pytest.mark.parametrize("column", ["image", "img"])
def test_parquet_gives_the_exact_pixels_in_order(tmp_path: Path, channels: int, struct: bool, column: str) -> None:
    images, labels = pictures(11, channels), np.arange(11) % 4
    for number, rows in enumerate((slice(0, 7), slice(7, 11))):
        file = tmp_path / f"train-0000{number}-of-00002.parquet"
        write(file, [png(image) for image in images[rows]], pa.array(labels[rows]), column, struct)
    decoded, decoded_labels = folders.read_parquet(tmp_path, "train", channels, 4)
    assert (decoded.dtype, decoded_labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(decoded, channels_first(images))
    assert np.array_equal(decoded_labels, labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_folder_gives_the_exact_pixels_class_by_class(tmp_path: Path, channels: int) -> None:
    images = pictures(6, channels)
    for i, name in enumerate(("cat", "cat", "dog", "eel", "eel", "eel")):
        place = tmp_path / "train" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(png(images[i]))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    decoded, labels = folders.read_image_folder(tmp_path, "train", channels, 3)
    assert np.array_equal(decoded, channels_first(images))
    assert labels.tolist() == [0, 0, 1, 2, 2, 2]


def test_images_are_converted_to_the_channels_of_the_data_set(tmp_path: Path) -> None:
    grey = pictures(2, 1)
    write(tmp_path / "train.parquet", [png(grey[0]), png(np.stack([grey[1]] * 3, 2))], pa.array([0, 1]))
    as_grey, _ = folders.read_parquet(tmp_path, "train", 1, 2)
    as_colour, _ = folders.read_parquet(tmp_path, "train", 3, 2)
    assert np.array_equal(as_grey[:, 0], grey)
    assert np.array_equal(as_colour, np.repeat(grey[:, None], 3, 1))


def _sixteen_bits() -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.full((7, 5), 40_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


GOOD = png(pictures(1, 1)[0])
BAD_IMAGES = {
    "not an image": (b"not an image", "can't be decoded"),
    "cut short": (GOOD[:-30], "can't be decoded"),
    "a broken chunk": (GOOD[:40] + b"\0\0\0\0" + GOOD[44:], "can't be decoded"),
    "none": (None, "there is no image"),
    "another size": (png(np.zeros((6, 5), np.uint8)), "5 x 6 pixels, the first image has 5 x 7"),
    "16 bits": (_sixteen_bits(), "more than 8 bits"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_a_bad_image_is_named_by_file_and_row(tmp_path: Path, case: str) -> None:
    content, reason = BAD_IMAGES[case]
    write(tmp_path / "train-0.parquet", [GOOD] * 2, pa.array([0, 1]))
    write(tmp_path / "train-1.parquet", [GOOD] * 4 + [content], pa.array([0] * 5))
    with pytest.raises(DataError, match=f"{re.escape(str(tmp_path))}/train-1.parquet, row 4: .*{reason}"):
        folders.read_parquet(tmp_path, "train", 1, 2)


def test_a_bad_image_of_an_image_folder_is_named_by_file(tmp_path: Path) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "1.png").write_bytes(GOOD)
    for content, reason in (BAD_IMAGES["cut short"], BAD_IMAGES["another size"]):
        (tmp_path / "train" / "a" / "2.png").write_bytes(content or b"")
        with pytest.raises(DataError, match=f"a/2.png: .*{reason}"):
            folders.read_image_folder(tmp_path, "train", 1, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.array([0, 1, 2]), "row 2: label 2, not one of 0 .. 1"),
        (pa.array([0, -1, 1]), "row 1: label -1"),
        (pa.array([0, None, 1]), "row 1: label None"),
        (pa.array([0.0, 1.0, 1.0]), "row 0: labels are double, not whole numbers"),
    ],
)
def test_a_wrong_label_is_named_by_file_and_row(tmp_path: Path, labels: pa.Array, message: str) -> None:
    write(tmp_path / "train.parquet", [GOOD] * 3, labels)
    with pytest.raises(DataError, match=f"train.parquet, {message}"):
        folders.read_parquet(tmp_path, "train", 1, 2)


def test_rows_are_counted_through_a_file_that_is_read_in_parts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(folders, "ROWS", 2)
    write(tmp_path / "train.parquet", [GOOD] * 5 + [b"?"], pa.array([0] * 6))
    with pytest.raises(DataError, match="row 5: "):
        folders.read_parquet(tmp_path, "train", 1, 1)
