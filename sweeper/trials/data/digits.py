"""The handwritten digits that scikit-learn contains, with the split sizes of their card."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


def load_digits(split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a split of the digits.

    The split is stratified, into 1,347 and 450 images, in a shuffled order that never changes.

    Args:
        split: The split, "train" or "test".
        folder: Not used; the images are part of scikit-learn.

    Returns:
        Images uint8 (n, 1, 8, 8), whose pixels 0 .. 16 are scaled to 0 .. 255, and labels int64 (n,).
    """
    return _splits()[split]


@cache
def _splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_digits  # deferred: the import takes a second, and only a first decoding needs it
    from sklearn.model_selection import train_test_split

    digits: Any = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype("<i8")
    train, test = train_test_split(np.arange(len(labels)), test_size=450, stratify=labels, random_state=0)
    return {"train": (pixels[train], labels[train]), "test": (pixels[test], labels[test])}
