"""Data sets in folders, decoded: Parquet files of encoded images, and image folders.

Which files and columns count is `spec.folders`' to say; here their images become one array.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sweeper.errors import DataError
from sweeper.spec.content.folders import image_files, parquet_columns, parquet_files

Split = tuple[np.ndarray, np.ndarray]  # images uint8 (n, c, h, w), labels int64 (n,)

ROWS = 2_000  # of a Parquet file held encoded at a time


def read_parquet(folder: Path, split: str, channels: int, classes: int) -> Split:
    """A split of a folder of Parquet files in the Hugging Face image layout, in the order of the files and rows.

    channels: 1 for grey, 3 for colour. Raises DataError, with file and row, for an image that can't be decoded or has
    another size than the first, and for a label that is not one of 0 .. classes - 1.
    """
    images, labels = [], []
    for file in parquet_files(folder, split):
        with pq.ParquetFile(file) as opened:
            columns = parquet_columns(opened.schema_arrow, file)
            done = 0
            for batch in opened.iter_batches(ROWS, columns=list(columns)):
                names = [f"{file}, row {done + i}" for i in range(batch.num_rows)]
                encoded = [_encoded(value.as_py(), name) for value, name in zip(batch.column(0), names, strict=True)]
                images.append((names, list(_decoded(zip(names, encoded, strict=True), channels))))
                labels.append(_labels(batch.column(1), names, classes))
                done += batch.num_rows
    return _stacked(images), np.concatenate(labels)


def read_image_folder(folder: Path, split: str, channels: int, classes: int) -> Split:
    """A split of an image folder (one folder a class), class by class, sorted by name. Raises DataError as `parquet`
    does."""
    found = list(image_files(folder, split))
    names = [str(file) for file, _ in found]
    images = list(_decoded(((str(file), file) for file, _ in found), channels))
    return _stacked([(names, images)]), _labels(pa.array([label for _, label in found]), names, classes)


def _encoded(value: object, name: str) -> BytesIO:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise DataError(f"{name}: no encoded image")
    return BytesIO(content)


def _labels(column: pa.Array, names: Sequence[str], classes: int) -> np.ndarray:
    if not pa.types.is_integer(column.type):
        raise DataError(f"{names[0]}: labels are {column.type}, not whole numbers")
    for name, label in zip(names, column.to_pylist(), strict=True):
        if label is None or not 0 <= label < classes:
            raise DataError(f"{name}: label {label}, not one of 0 .. {classes - 1}")
    return column.to_numpy().astype(np.int64)


def _decoded(images: Iterable[tuple[str, BinaryIO | Path]], channels: int) -> Iterator[np.ndarray]:
    """Each image as uint8 (c, h, w); decoding lets go of the interpreter, so threads use every core."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda named: _decode(named[0], named[1], channels), images)


def _decode(name: str, content: BinaryIO | Path, channels: int) -> np.ndarray:
    try:
        with Image.open(content) as image:
            mode = image.mode
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # Pillow's decoders raise what they like: OSError, SyntaxError, struct.error ...
        raise DataError(f"{name}: the image can't be decoded: {error}") from error
    if mode.startswith(("I", "F")):
        raise DataError(f"{name}: pixels of more than 8 bits (mode {mode}) are not supported")
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _stacked(parts: Iterable[tuple[Sequence[str], Sequence[np.ndarray]]]) -> np.ndarray:
    """The images of all parts, each with their names, as one array."""
    names, images = ([each for part in column for each in part] for column in zip(*parts, strict=True))
    _, height, width = images[0].shape
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            other = f"{image.shape[2]} x {image.shape[1]}"
            raise DataError(f"{name}: an image of {other} pixels where the first has {width} x {height}")
    return np.stack(images)
