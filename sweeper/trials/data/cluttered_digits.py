"""Cluttered translated digits: a digit of scikit-learn at a random place, among fragments of other digits.

The task is that of Mnih et al. 2014, "Recurrent Models of Visual Attention", section 4.2 (cluttered translated MNIST),
made from the 1,797 digits of 8 x 8 pixels that scikit-learn contains. It is harder than these digits as they are: a
network must find the digit first. All choices are integers from Philox, so every machine makes the same images.

1. Sources are divided once, by `divide`, into three sides: 799 for training, 199 held out and 799 for the test. An
   image of a side contains only sources of this side, also as clutter.
2. Each source is drawn at a random place of an empty canvas: `SAMPLES` says how often. A test source is drawn once, so
   that test images are independent, as intervals assume.
3. Fragments of other sources, cut out at random places, are laid on the canvas at random places. Where things overlap,
   the brighter pixel shows.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sweeper.trials.process.philox import Purpose, bits, integers_below, random_permutation

SEED = 0
SAMPLES = {"train": 6, "held_out": 3, "test": 1}  # images made from each source of a side
DEAL = ("train", "test") * 4 + ("held_out",)  # the sides of nine consecutive sources, which are sorted by class


@dataclass(frozen=True, slots=True)
class Clutter:
    """The difficulty of the task: the size of the canvas, and the number and size of the fragments, in pixels."""

    canvas: int
    fragments: int
    fragment: int


CLUTTER = Clutter(canvas=12, fragments=2, fragment=3)


def load_cluttered_digits(split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a split of the cluttered digits, in an order that never changes.

    Args:
        split: The split, "train" or "test". The last images of "train" are those of the held-out sources.
        folder: Not used; the sources are part of scikit-learn.

    Returns:
        Images uint8 (n, 1, canvas, canvas) and labels int64 (n,).
    """
    return make_split(split, CLUTTER)


def make_split(split: str, clutter: Clutter) -> tuple[np.ndarray, np.ndarray]:
    """Return a split of a difficulty; see `load_cluttered_digits`."""
    pixels, labels = all_digits()
    sides = divide(labels)
    names = ("train", "held_out") if split == "train" else ("test",)
    parts = [make_images(pixels[sides[name]], labels[sides[name]], name, clutter) for name in names]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return images, labels


def divide(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Divide sources into sides: their indices by side, each source in one. Each side has all classes in like shares.

    Args:
        labels: The labels of all sources, int64 (n,).
    """
    order = random_permutation(SEED, Purpose.SOURCES, 0, len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    dealt = np.resize(np.array(DEAL), len(labels))
    return {side: order[dealt == side] for side in SAMPLES}


def make_images(pixels: np.ndarray, labels: np.ndarray, side: str, clutter: Clutter) -> tuple[np.ndarray, np.ndarray]:
    """Make the images of a side from its sources, in a random order.

    Args:
        pixels: The sources, uint8 (n, size, size).
        labels: Their labels, int64 (n,).
        side: The side, which decides the number of images and the random numbers.
        clutter: The difficulty.

    Returns:
        Images uint8 (n * samples, 1, canvas, canvas) and labels int64 (n * samples,).
    """
    count, size = len(pixels), pixels.shape[1]
    step = list(SAMPLES).index(side)
    source = random_permutation(SEED, Purpose.SOURCES, 1 + step, count * SAMPLES[side]) % count
    draws = bits(SEED, Purpose.CLUTTER, step, (2 + 5 * clutter.fragments) * len(source)).reshape(-1, len(source))
    canvas = np.zeros((len(source), clutter.canvas, clutter.canvas), pixels.dtype)
    _lay(canvas, pixels[source], *integers_below(draws[:2], clutter.canvas - size + 1))
    rows = np.arange(clutter.fragment)
    for fragment in draws[2:].reshape(clutter.fragments, 5, len(source)):
        other = (source + 1 + integers_below(fragment[0], count - 1)) % count
        top, left = integers_below(fragment[1:3], size - clutter.fragment + 1)
        cut_out = pixels[other[:, None, None], (top[:, None] + rows)[:, :, None], (left[:, None] + rows)[:, None, :]]
        _lay(canvas, cut_out, *integers_below(fragment[3:5], clutter.canvas - clutter.fragment + 1))
    return canvas[:, None], labels[source]


def _lay(canvas: np.ndarray, pieces: np.ndarray, top: np.ndarray, left: np.ndarray) -> None:
    """Lay a square piece on each canvas, in place, with its corner at (top, left); the brighter pixel shows."""
    side = np.arange(pieces.shape[1])
    place = (np.arange(len(canvas))[:, None, None], (top[:, None] + side)[:, :, None], (left[:, None] + side)[:, None])
    canvas[place] = np.maximum(canvas[place], pieces)


@cache
def all_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return all digits of scikit-learn, uint8 (1797, 8, 8) scaled to 0 .. 255, and their labels, int64 (1797,)."""
    from sklearn.datasets import load_digits  # deferred: the import takes a second, and only a first decoding needs it

    digits: Any = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype("<i8")
