"""A data set, decoded once a machine and shared by every process on it.

Decoded images lie in the user's cache folder, keyed by the digest of the data set's content, as plain `.npy` files
that are mapped into memory: all workers of a node read the same pages. A folder of them appears by one rename, so a
reader sees all of it or nothing, and processes that decode at the same time do each other no harm.
"""

import fcntl
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
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.content.fingerprint import cache_folder, fingerprint
from sweeper.spec.content.folders import contents
from sweeper.spec.records.task import Data
from sweeper.trials.data import folders, named
from sweeper.trials.process.builder import import_builder
from sweeper.trials.process.philox import Purpose, permutation

# Raised when decoding changes, so that what an older version left in the cache is not taken for today's.
DECODER = 1

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "statistics")


@dataclass(frozen=True, slots=True)
class Dataset:
    """Decoded images and labels. The arrays are private maps of files: writing to one changes no file."""

    train_images: np.ndarray  # uint8 (n, c, h, w), in the data set's fixed order
    train_labels: np.ndarray  # int64 (n,)
    test_images: np.ndarray
    test_labels: np.ndarray
    mean: tuple[float, ...]  # per channel, of pixel values scaled to [0, 1], over the training images; where the
    std: tuple[float, ...]  # literature has settled on constants for a named set, these


def load(data: Data) -> Dataset:
    """The data set, from the cache folder or decoded into it (CIFAR-10's 60,000 JPEGs: some ten seconds of one core).

    Raises DataError where its images can't be found, read, or brought into one shape.
    """
    folder = cache_folder() / "decoded" / f"{data.digest.replace(':', '-')}-{DECODER}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if (opened := _open(folder, data)) is None:
        with _lock(folder.with_suffix(".lock")):
            if (opened := _open(folder, data)) is None:
                _publish(_decode(data), folder)
                opened = _open(folder, data)
    if opened is None:
        raise DataError(f"{folder}: can't read back what was just written there")
    return opened


def _open(folder: Path, data: Data) -> Dataset | None:
    """The decoded arrays, or None where they aren't there or aren't whole."""
    try:
        # Mode "c", not "r": a private map shares the pages as well, and torch can wrap it without a warning.
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ARRAYS}
    except (FileNotFoundError, ValueError, EOFError):
        return None
    for split, count in (("train", data.train), ("test", data.test)):
        if arrays[f"{split}_images"].shape != (count, *data.shape) or arrays[f"{split}_labels"].shape != (count,):
            return None
    mean, std = named.STATISTICS.get(data.name) or arrays["statistics"].tolist()
    images_and_labels = {name: np.asarray(arrays[name]) for name in ARRAYS[:4]}
    return Dataset(**images_and_labels, mean=tuple(mean), std=tuple(std))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One decoder a machine at a time. Only saves work: correctness rests on the rename."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _decode(data: Data) -> dict[str, np.ndarray]:
    arrays = {}
    for split, count in (("train", data.train), ("test", data.test)):
        images, labels = _read(data, split)
        if images.shape != (count, *data.shape):
            raise DataError(f"{data.name}, {split}: {images.shape} images where the job has {(count, *data.shape)}")
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    _verify(data, arrays)
    return arrays | {"statistics": _statistics(arrays["train_images"])}


def _read(data: Data, split: str) -> tuple[np.ndarray, np.ndarray]:
    if card := DATASETS.get(data.name):
        return import_builder(card.builder)(split, cache_folder() / "downloads")
    read = {"parquet": folders.read_parquet, "imagefolder": folders.read_image_folder}[data.name]
    images, labels = read(Path(data.where), split, channels=data.shape[0], classes=data.classes)
    if split == "train":  # files often come class by class, and the last images are held back for stopping
        order = permutation(0, Purpose.ORDER, 0, len(labels))
        images, labels = images[order], labels[order]
    return images, labels


def _verify(data: Data, arrays: dict[str, np.ndarray]) -> None:
    """Raises DataError for content that is not what the job was planned with: the cache must never hold other images
    under a digest. Archives that are downloaded are verified by their builders."""
    if data.name in ("parquet", "imagefolder"):
        found = fingerprint(Path(data.where), contents(data.name, Path(data.where)).files)
        why = "its files have changed since the job was planned, or differ on this machine"
    elif data.name == "digits":
        found, why = content_digest(arrays), "another version of scikit-learn?"
    else:
        return
    if found != data.digest:
        raise DataError(f"{data.where or data.name}: the images have digest {found}, not {data.digest}: {why}")


def content_digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the bytes of train images, train labels, test images, test labels, in C order."""
    digest = sha256()
    for name in ARRAYS[:4]:
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _statistics(images: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each channel in units of full scale, exact, (2, c). A constant channel has 1."""
    values = np.arange(256) / 255
    shares = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(images.shape[1])])
    shares = shares / shares.sum(axis=1, keepdims=True)  # (c, 256)
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return np.stack([mean, np.where(std > 0, std, 1)])


def _publish(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Writes the arrays into a folder that appears whole, under its name, or not at all."""
    made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for name, array in arrays.items():
            with (made / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():  # left by something that went wrong: it could not be opened
            shutil.rmtree(folder)
        made.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was first, and theirs is as good
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
