"""The handwritten digits embedded in scikit-learn, split as their card says."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


def load(split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The "train" or "test" split: images uint8 (n, 1, 8, 8), pixels 0 .. 16 scaled to 0 .. 255, and labels int64 (n,).

    A stratified split into 1,347 and 450 images in a shuffled order that never changes. Nothing is read from or
    written to `folder`.
    """
    return _splits()[split]


@cache
def _splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_digits  # a second of import that only a first decoding needs
    from sklearn.model_selection import train_test_split

    digits: Any = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype("<i8")
    train, test = train_test_split(np.arange(len(labels)), test_size=450, stratify=labels, random_state=0)
    return {"train": (pixels[train], labels[train]), "test": (pixels[test], labels[test])}
