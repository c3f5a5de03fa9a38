"""Data sets, decoded once on each machine and shared by all processes on it.

Decoded images are plain `.npy` files in the user's cache folder, in a folder named after the digest of the data set's
content. They are mapped into memory, so all workers of a node read the same pages. A folder is written under another
name and then renamed, so a reader sees a complete folder or none, even if several processes decode at the same time.
The digest of each file is written beside them and compared when a process first sees the file or its state (size,
times, inode) has changed; hashing CIFAR's 184 MB takes a tenth of a second.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from sweeper.errors import DataError
from sweeper.files import cache_folder, check_cache_folder, read_cached_text, write_cached_text
from sweeper.spec.cards.datasets import DATASETS, EMBEDDED
from sweeper.spec.content.fingerprint import file_digest, fingerprint
from sweeper.spec.content.folders import list_files
from sweeper.spec.records.task import Data
from sweeper.trials.data import folders, named
from sweeper.trials.process.builder import import_builder
from sweeper.trials.process.philox import Purpose, random_permutation

# Increase this number when decoding changes, so that arrays in the cache that an older version wrote are not used.
DECODER = 2

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "statistics")
DIGESTS = "digests.json"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The decoded images and labels of a data set.

    The arrays are private memory maps of files: writing to one changes no file.
    """

    train_images: np.ndarray  # uint8 (n, c, h, w), in the data set's fixed order
    train_labels: np.ndarray  # int64 (n,)
    test_images: np.ndarray
    test_labels: np.ndarray
    # Per channel, over the training images, of pixel values scaled to [0, 1]; for a named data set whose literature
    # uses fixed constants, these constants.
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_dataset(data: Data) -> Dataset:
    """Return a data set from the cache folder; decode it into that folder first if it isn't there.

    Decoding CIFAR-10's 60,000 JPEGs takes about ten seconds of one core.

    Raises:
        DataError: If the images can't be found or read, or differ in shape.
    """
    folder = cache_folder() / "decoded" / f"{data.digest.replace(':', '-')}-{DECODER}"
    check_cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if (opened := _open(folder, data)) is None:
        with _lock(folder.with_suffix(".lock")):
            if (opened := _open(folder, data)) is None:
                _publish(_decode(data), folder)
                opened = _open(folder, data)
    if opened is None:
        raise DataError(f"{folder}: the decoded data set that was just written can't be read")
    return opened


def _open(folder: Path, data: Data) -> Dataset | None:
    """Return the decoded data set in a folder; None if the folder doesn't exist, isn't complete or is damaged."""
    try:
        if json.loads(read_cached_text(folder / DIGESTS)) != _file_digests(folder):
            return None
        # Mode "c" (a private map), not "r": it shares the pages, too, and torch wraps it without a warning.
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ARRAYS}
    except (FileNotFoundError, ValueError, EOFError, DataError):
        return None
    for split, count in (("train", data.train), ("test", data.test)):
        if arrays[f"{split}_images"].shape != (count, *data.shape) or arrays[f"{split}_labels"].shape != (count,):
            return None
    mean, std = named.STATISTICS.get(data.name) or arrays["statistics"].tolist()
    images_and_labels = {name: np.asarray(arrays[name]) for name in ARRAYS[:4]}
    return Dataset(**images_and_labels, mean=tuple(mean), std=tuple(std))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock so that one process decodes at a time. It only saves work; the rename ensures complete folders."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _decode(data: Data) -> dict[str, np.ndarray]:
    arrays = {}
    for split, count in (("train", data.train), ("test", data.test)):
        images, labels = _read(data, split)
        if images.shape != (count, *data.shape):
            raise DataError(
                f"{data.name}, {split}: the images have shape {images.shape}, the job has {(count, *data.shape)}"
            )
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    _verify(data, arrays)
    return arrays | {"statistics": _statistics(arrays["train_images"])}


def _read(data: Data, split: str) -> tuple[np.ndarray, np.ndarray]:
    if card := DATASETS.get(data.name):
        return import_builder(card.builder)(split, cache_folder() / "downloads")
    read = {"parquet": folders.read_parquet, "imagefolder": folders.read_image_folder}[data.name]
    images, labels = read(Path(data.where), split, channels=data.shape[0], classes=data.classes)
    if split == "train":  # shuffle: files are often sorted by class, and the last images are held back for stopping
        order = random_permutation(0, Purpose.ORDER, 0, len(labels))
        images, labels = images[order], labels[order]
    return images, labels


def _verify(data: Data, arrays: dict[str, np.ndarray]) -> None:
    """Check that the content has the digest with which the job was planned.

    The cache must never contain other images under a digest. Builders verify the archives that they download.

    Raises:
        DataError: If the digest is another.
    """
    if data.name in ("parquet", "imagefolder"):
        digest = fingerprint(Path(data.where), list_files(data.name, Path(data.where)))
        why = "its files have changed since the job was planned, or differ on this machine"
    elif data.name in EMBEDDED:
        digest, why = content_digest(arrays), "is another version of scikit-learn installed?"
    else:
        return
    if digest != data.digest:
        raise DataError(f"{data.where or data.name}: the images have digest {digest}, not {data.digest}: {why}")


def content_digest(arrays: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of the bytes of train images, train labels, test images and test labels, in C order."""
    digest = sha256()
    for name in ARRAYS[:4]:
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _file_digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file of arrays in a folder.

    Raises:
        DataError: A file is missing or can't be read.
    """
    return {name: file_digest(folder / f"{name}.npy") for name in ARRAYS}


def _statistics(images: np.ndarray) -> np.ndarray:
    """Return the exact mean and standard deviation of each channel, (2, c), of pixel values scaled to [0, 1].

    They come from the histogram of the 256 values. The standard deviation of a constant channel is set to 1.
    """
    values = np.arange(256) / 255
    shares = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(images.shape[1])])
    shares = shares / shares.sum(axis=1, keepdims=True)  # (c, 256)
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return np.stack([mean, np.where(std > 0, std, 1)])


def _publish(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Write the arrays into a folder that appears under its name only when it is complete."""
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for name, array in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
        write_cached_text(temporary / DIGESTS, json.dumps(_file_digests(temporary)))
        if folder.exists():  # damaged, as `_open` could not read it
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another process has written the same folder first
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
