"""Data sets in folders, decoded: Parquet files of encoded images, and image folders.

Which files and columns count is `spec.folders`' to say; here their images become one array.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from sweeper.errors import DataError
from sweeper.spec.folders import image_files, parquet_columns, parquet_files

Split = tuple[np.ndarray, np.ndarray]  # images uint8 (n, c, h, w), labels int64 (n,)

ROWS = 2_000  # of a Parquet file held encoded at a time


def parquet(folder: Path, split: str, channels: int) -> Split:
    """A split of a folder of Parquet files in the Hugging Face image layout, in the order of the files and rows.

    channels: 1 for grey, 3 for colour. Raises DataError for an image that can't be decoded or has another size.
    """
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for file in parquet_files(folder, split):
        with pq.ParquetFile(file) as opened:
            image, label = parquet_columns(opened.schema_arrow, file)
            done = 0
            for batch in opened.iter_batches(ROWS, columns=[image, label]):
                named = ((f"{file}, row {done + i}", BytesIO(_encoded(value.as_py(), file, done + i)))
                         for i, value in enumerate(batch.column(0)))  # fmt: skip
                images.extend(_decoded(named, channels))
                labels.append(batch.column(1).to_numpy(zero_copy_only=False).astype(np.int64))
                done += batch.num_rows
    return _stacked(images, folder, split), np.concatenate(labels)


def imagefolder(folder: Path, split: str, channels: int) -> Split:
    """A split of an image folder (one folder a class), class by class, sorted by name. Raises DataError as `parquet`
    does."""
    found = list(image_files(folder, split))
    images = list(_decoded(((str(file), file) for file, _ in found), channels))
    return _stacked(images, folder, split), np.array([label for _, label in found], np.int64)


def _encoded(value: object, file: Path, row: int) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise DataError(f"{file}, row {row}: no encoded image")
    return content


def _decoded(images: Iterable[tuple[str, BinaryIO | Path]], channels: int) -> Iterator[np.ndarray]:
    """Each image as uint8 (c, h, w); decoding lets go of the interpreter, so threads use every core."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda named: _decode(named[0], named[1], channels), images)


def _decode(name: str, content: BinaryIO | Path, channels: int) -> np.ndarray:
    try:
        with Image.open(content) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{name}: pixels of more than 8 bits (mode {image.mode}) are not supported")
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{name}: the image can't be decoded: {error}") from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _stacked(images: list[np.ndarray], folder: Path, split: str) -> np.ndarray:
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        sizes = ", ".join(f"{w} x {h}" for _, h, w in shapes[:3])
        raise DataError(f"{folder}, {split}: images of unequal size ({sizes}{', ...' if len(shapes) > 3 else ''})")
    return np.stack(images)
