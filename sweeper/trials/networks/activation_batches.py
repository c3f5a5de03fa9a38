"""Batches of the bottom model's activations, which are the inputs of stitchers, computed once for all stitches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.trials.data.stream import Stream
from sweeper.trials.networks.activations import Feed, activations
from sweeper.trials.networks.finite import CheckedActivations
from sweeper.trials.networks.label_codes import LabelCodes
from sweeper.trials.networks.network import CHUNK, Images
from sweeper.trials.process.numerics import autocast_step

ACTIVATION_BUDGET = 2**30  # bytes of A's activations that a pack caches, over all its images and cuts


@torch.no_grad()
def bottom_activations(a: nn.Module, images: Tensor, labels: Tensor, cuts: Iterable[str]) -> CheckedActivations:
    """Return the bottom's activations at some cuts for a batch, or, where `a` is `LabelCodes`, the codes of the labels.

    To read an activation with values that are not finite numbers is an error, so only the stitches at its cut fail.

    Args:
        a: The bottom model.
        images: Normalised images (images, channels, height, width).
        labels: Their labels, int64 (images,).
        cuts: The names of the cuts.
    """
    is_label_sender = isinstance(a, LabelCodes)
    return CheckedActivations("A", a.codes_of(labels, cuts) if is_label_sender else activations(a, images, cuts))


@torch.no_grad()
def train_batch(a: nn.Module, stream: Stream, cuts: Iterable[str], step: int) -> tuple[Feed, Tensor]:
    """Return the activations and labels of a training step, without a cache.

    For augmented images, or where norms use the statistics of the batch, activations differ from step to step.
    """
    images, labels = stream.batch(step)
    with autocast_step():
        return bottom_activations(a, images, labels, cuts), labels


@torch.no_grad()
def test_batches(a: nn.Module, images: Images, cuts: Iterable[str]) -> Iterator[tuple[Feed, Tensor]]:
    """Yield A's activations at the cuts and the labels of the test images, in the batches of `Images.test_batches`."""
    for batch, labels in images.test_batches():
        yield bottom_activations(a, batch, labels, cuts), labels


class ActivationCache:
    """A cache, within a budget, of A's activations of training images that are not augmented.

    Activations are computed at the first request. The latest cuts have priority: they are the smallest and take the
    longest to compute again. Activations that don't fit are recomputed from the images at each request, by a pass that
    ends at the deepest cut that is missing.
    """

    def __init__(self, a: nn.Module, images: Images, rows: np.ndarray, cuts: Mapping[str, Shape], budget: int):
        """Prepare a cache.

        Args:
            a: The bottom model, with constant weights and norms.
            images: The data set.
            rows: The indices of the training images that may be requested.
            cuts: The shapes of activations by the cut's name, in order of depth.
            budget: The most bytes to cache.
        """
        self._a, self._images, self._cuts = a, images, tuple(cuts)
        self._place = np.full(len(images.train), -1)
        self._place[rows] = np.arange(len(rows))
        self._rows = rows
        self._filled = np.zeros(len(rows), bool)
        self._activations: dict[str, Tensor | None] = {}
        self._refused: dict[str, str] = {}  # messages, by cut: a value of some batch was not a finite number
        self.bytes = 0
        for cut, shape in reversed(list(cuts.items())):
            size = 4 * len(rows) * prod(shape)
            if self.bytes + size <= budget:
                self._activations[cut] = None  # allocated when the first batch shows its layout
                self.bytes += size

    @property
    def complete(self) -> bool:
        """True if every image was requested."""
        return bool(self._filled.all())

    def __iter__(self) -> Iterator[tuple[Feed, Tensor]]:
        """Yield activations and labels of all images, in the order of `rows`, `CHUNK` images at a time."""
        for start in range(0, len(self._rows), CHUNK):
            yield self.batch(self._rows[start : start + CHUNK])

    @torch.no_grad()
    def batch(self, rows: np.ndarray) -> tuple[Feed, Tensor]:
        """Return A's activations at the cuts, and the labels, for some of the images, given by their indices."""
        place = self._place[rows]
        index = torch.from_numpy(rows).to(self._images.train.device)
        labels = self._images.train_labels[index]
        is_cached = bool(self._filled[place].all())
        at = torch.from_numpy(place).to(index.device)
        feed = {cut: store[at] for cut, store in self._activations.items() if store is not None} if is_cached else {}
        if missing := [cut for cut in self._cuts if cut not in feed and cut not in self._refused]:
            computed = bottom_activations(self._a, self._images.train_batch(index), labels, missing)
            self._refused |= computed.refused
            feed |= {cut: computed[cut] for cut in computed if cut not in computed.refused}
        if not is_cached:
            self._store(feed, at)
            self._filled[place] = True
        return CheckedActivations("A", feed, self._refused), labels

    def _store(self, feed: Feed, at: Tensor) -> None:
        for cut, store in self._activations.items():
            if cut in self._refused:
                continue
            x = feed[cut]
            if store is None:
                layout = torch.channels_last if x.ndim == 4 and is_channels_last(x) else torch.contiguous_format
                store = torch.empty((len(self._rows), *x.shape[1:]), device=x.device, memory_format=layout)
                self._activations[cut] = store
            store[at] = x


def is_channels_last(x: Tensor) -> bool:
    """Return whether the channels of a map come last in memory; false if both layouts are the same."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def evenly_spaced(indices: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the indices, evenly spaced, so that all classes of a sorted data set are included."""
    indices = np.asarray(indices)
    return indices if len(indices) <= most else indices[np.linspace(0, len(indices) - 1, most).astype(np.int64)]
