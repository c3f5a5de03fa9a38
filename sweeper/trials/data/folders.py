"""Decoding of data sets in folders: Parquet files of encoded images, and image folders.

`sweeper.spec.content.folders` lists the files and columns of a data set; this module decodes their images into one
array.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from sweeper.errors import DataError
from sweeper.spec.content.image_folders import split_images
from sweeper.spec.content.images import NO_BYTES, NamedImage, map_in_threads
from sweeper.spec.content.parquet_files import split_files
from sweeper.spec.content.parquet_tables import as_numbers, find_columns, image_bytes, is_empty, open_parquet

Split = tuple[np.ndarray, np.ndarray]  # images uint8 (n, c, h, w), labels int64 (n,)

ROWS = 2_000  # rows of a Parquet file that are in memory, encoded, at a time


def read_parquet(folder: Path, split: str, channels: int, classes: int) -> Split:
    """Read a split from a folder of Parquet files in the Hugging Face image layout, in the order of files and rows.

    Args:
        folder: The folder.
        split: The split, "train" or "test".
        channels: The number of channels: 1 for grey, 3 for colour.
        classes: The number of classes.

    Raises:
        DataError: If an image can't be decoded or has another size than the first, or a label is not one of
            0 .. classes - 1. The message names the file and the row.
    """
    images, labels = [], []
    for file in split_files(folder, split):
        with open_parquet(file) as table:
            if is_empty(table):
                continue
            columns = find_columns(table.schema_arrow, file)
            done = 0
            for batch in table.iter_batches(ROWS, columns=list(columns)):
                names = [f"{file}, row {done + i}" for i in range(batch.num_rows)]
                named = zip(names, map(image_bytes, batch.column(0)), strict=True)
                images.append((names, list(map_in_threads(partial(_decode, channels=channels, rotate=True), named))))
                labels.append(_check_labels(batch.column(1), names, classes))
                done += batch.num_rows
    return _stack(images), np.concatenate(labels)


def read_image_folder(folder: Path, split: str, channels: int, classes: int) -> Split:
    """Read a split from an image folder with one folder for each class: class by class, sorted by name.

    The arguments and exceptions are those of `read_parquet`.
    """
    labelled_files = list(split_images(folder, split))
    names = [str(file) for file, _ in labelled_files]
    named = ((str(file), file) for file, _ in labelled_files)
    images = list(map_in_threads(partial(_decode, channels=channels, rotate=False), named))
    return _stack([(names, images)]), _check_labels(pa.array([label for _, label in labelled_files]), names, classes)


def _check_labels(column: pa.Array, names: Sequence[str], classes: int) -> np.ndarray:
    column = as_numbers(column, names[0])
    for name, label in zip(names, column.to_pylist(), strict=True):
        if label is None or not 0 <= label < classes:
            raise DataError(f"{name}: label {label}, not one of 0 .. {classes - 1}")
    return column.to_numpy().astype(np.int64)


def _decode(named: NamedImage, channels: int, rotate: bool) -> np.ndarray:
    """Decode an image to uint8 (c, h, w); `rotate` applies the rotation that its EXIF data ask for."""
    name, content = named
    if content is None:
        raise DataError(f"{name}: {NO_BYTES}")
    try:
        with Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image:
            mode = image.mode
            upright = ImageOps.exif_transpose(image) if rotate else image
            pixels = np.asarray(upright.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and others
        raise DataError(f"{name}: the image can't be decoded: {error}") from error
    if mode.startswith(("I", "F")):
        raise DataError(f"{name}: pixels of more than 8 bits (mode {mode}) are not supported")
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _stack(parts: Iterable[tuple[Sequence[str], Sequence[np.ndarray]]]) -> np.ndarray:
    """Return the images of all parts as one array (n, c, h, w). A part is the names of its images and the images."""
    names, images = ([item for part in column for item in part] for column in zip(*parts, strict=True))
    _, height, width = images[0].shape
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            size = f"{image.shape[2]} x {image.shape[1]}"
            raise DataError(f"{name}: the image has {size} pixels, the first image has {width} x {height}")
    return np.stack(images)
