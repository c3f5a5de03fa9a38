"""The named data sets that torchvision fetches: each builder gives one split as arrays.

torchvision verifies what it downloads against the MD5 digests that the cards pin, and finds what is already in the
folder (`cifar-10-batches-py`, `MNIST/raw`, ...), so a machine without internet needs the files alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sweeper.errors import DataError

Split = tuple[np.ndarray, np.ndarray]  # images uint8 (n, c, h, w), labels int64 (n,)

# Mean and standard deviation per channel where the literature has settled on constants.
STATISTICS = {"cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))}


def cifar10(split: str, folder: Path) -> Split:
    """CIFAR-10, 32 x 32 in colour."""
    from torchvision.datasets import CIFAR10

    return _channels_first(_fetch("cifar10", folder, lambda: CIFAR10(folder, train=split == "train", download=True)))


def cifar100(split: str, folder: Path) -> Split:
    """CIFAR-100 with its fine labels, 32 x 32 in colour."""
    from torchvision.datasets import CIFAR100

    return _channels_first(_fetch("cifar100", folder, lambda: CIFAR100(folder, train=split == "train", download=True)))


def mnist(split: str, folder: Path) -> Split:
    """MNIST, 28 x 28 in grey."""
    from torchvision.datasets import MNIST

    return _grey(_fetch("mnist", folder, lambda: MNIST(folder, train=split == "train", download=True)))


def fashion_mnist(split: str, folder: Path) -> Split:
    """Fashion-MNIST, 28 x 28 in grey."""
    from torchvision.datasets import FashionMNIST

    return _grey(_fetch("fashion_mnist", folder, lambda: FashionMNIST(folder, train=split == "train", download=True)))


def svhn(split: str, folder: Path) -> Split:
    """SVHN's cropped digits, 32 x 32 in colour; torchvision gives them channels first."""
    from torchvision.datasets import SVHN

    found = _fetch("svhn", folder, lambda: SVHN(folder, split=split, download=True))
    return np.ascontiguousarray(found.data), found.labels.astype(np.int64)


def _fetch(name: str, folder: Path, make: Callable[[], Any]) -> Any:
    """A torchvision data set. Raises DataError where it is neither in the folder nor to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return make()
    except (OSError, RuntimeError) as error:  # no network; files of another digest
        raise DataError(f"{name} can't be fetched into {folder}: {error}") from error


def _channels_first(found: Any) -> Split:
    return np.ascontiguousarray(found.data.transpose(0, 3, 1, 2)), np.asarray(found.targets, np.int64)


def _grey(found: Any) -> Split:
    return found.data.numpy()[:, None], found.targets.numpy().astype(np.int64)
