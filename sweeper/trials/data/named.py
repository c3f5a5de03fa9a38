"""The named data sets that torchvision downloads: each builder returns one split as arrays.

Files that are already in the folder, where torchvision would put them (`cifar-10-batches-py`, `MNIST/raw/*.gz`,
`train_32x32.mat`), are used, so a machine without internet access needs only the files. All files are verified against
the MD5 digests in torchvision: those of the cards, or of the files within the archive.
"""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sweeper.errors import DataError

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

T = TypeVar("T")
Split = tuple[np.ndarray, np.ndarray]  # images uint8 (n, c, h, w), labels int64 (n,)

# Mean and standard deviation per channel of data sets whose literature uses fixed constants.
STATISTICS = {"cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))}


def cifar10(split: str, folder: Path) -> Split:
    """Return a split of CIFAR-10, 32 x 32 in colour."""
    from torchvision.datasets import CIFAR10

    return _channels_first(_fetch("cifar10", folder, lambda: CIFAR10(folder, train=split == "train", download=True)))


def cifar100(split: str, folder: Path) -> Split:
    """Return a split of CIFAR-100 with its fine labels, 32 x 32 in colour."""
    from torchvision.datasets import CIFAR100

    return _channels_first(_fetch("cifar100", folder, lambda: CIFAR100(folder, train=split == "train", download=True)))


def mnist(split: str, folder: Path) -> Split:
    """Return a split of MNIST, 28 x 28 in grey."""
    from torchvision.datasets import MNIST

    return _fetch("mnist", folder, lambda: _idx(MNIST, split, folder))


def fashion_mnist(split: str, folder: Path) -> Split:
    """Return a split of Fashion-MNIST, 28 x 28 in grey."""
    from torchvision.datasets import FashionMNIST

    return _fetch("fashion_mnist", folder, lambda: _idx(FashionMNIST, split, folder))


def svhn(split: str, folder: Path) -> Split:
    """Return a split of SVHN's cropped digits, 32 x 32 in colour."""
    from torchvision.datasets import SVHN

    dataset: Any = _fetch("svhn", folder, lambda: SVHN(folder, split=split, download=True))
    return np.ascontiguousarray(dataset.data), dataset.labels.astype(np.int64)


def _fetch(name: str, folder: Path, make: Callable[[], T]) -> T:
    """Return the result of `make`.

    Raises:
        DataError: If the data set is not in the folder and can't be downloaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return make()
    except (OSError, RuntimeError) as error:  # no internet access, or files with another digest
        raise DataError(f"{name} is not in {folder} and can't be downloaded: {error}") from error


def _channels_first(dataset: Any) -> Split:
    return np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2)), np.asarray(dataset.targets, np.int64)


def _idx(dataset: "type[MNIST]", split: str, folder: Path) -> Split:
    """Return a split from MNIST's compressed files.

    torchvision's class is not used, as it accepts unpacked files in the folder without verifying them.
    """
    from torchvision.datasets.utils import check_integrity

    raw = folder / dataset.__name__ / "raw"
    digests = dict(dataset.resources)
    part = {"train": "train", "test": "t10k"}[split]
    images, labels = (raw / f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    for file in (images, labels):
        if not check_integrity(file, digests[file.name]):
            _download(dataset.mirrors, file, digests[file.name])
    return _read_idx(images)[:, None], _read_idx(labels).astype(np.int64)


def _download(mirrors: Sequence[str], file: Path, md5: str) -> None:
    """Download a file from the first mirror that has it.

    Raises:
        OSError, RuntimeError: The error of the last mirror.
    """
    from torchvision.datasets.utils import download_url

    *others, last = mirrors
    for mirror in others:
        try:
            return download_url(mirror + file.name, file.parent, file.name, md5)
        except (OSError, RuntimeError):
            continue
    return download_url(last + file.name, file.parent, file.name, md5)


def _read_idx(file: Path) -> np.ndarray:
    """Return the unsigned bytes of a compressed file in the IDX format.

    The format is two zeros, a type, the number of dimensions, the size of each, and the values.
    """
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    sizes = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sizes)
