"""What feeds the stitches: A's tensors at the wanted cuts, batch after batch, each computed once for all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.trials.data.stream import Stream
from sweeper.trials.networks.activations import Feed, activations
from sweeper.trials.networks.label_codes import LabelCodes
from sweeper.trials.networks.network import CHUNK, Images
from sweeper.trials.process.numerics import autocast_step

ACTIVATION_BUDGET = 2**30  # bytes of A's activations that a pack keeps, over all its images and cuts


@torch.no_grad()
def bottom_activations(a: nn.Module, images: Tensor, labels: Tensor, cuts: Iterable[str]) -> dict[str, Tensor]:
    """What a sender gives at some cuts for a batch: a network its tensors, codes those of the labels."""
    return a.codes_of(labels, cuts) if isinstance(a, LabelCodes) else activations(a, images, cuts)


@torch.no_grad()
def train_batch(a: nn.Module, stream: Stream, cuts: Iterable[str], step: int) -> tuple[Feed, Tensor]:
    """The feed and labels of a step, computed anew: what augmentation, or norms that move, call for."""
    images, labels = stream.batch(step)
    with autocast_step():
        return bottom_activations(a, images, labels, cuts), labels


@torch.no_grad()
def test_batches(a: nn.Module, images: Images, cuts: Iterable[str]) -> Iterator[tuple[Feed, Tensor]]:
    """A's tensors at the cuts and the labels for the test images, in the batches that networks are scored on."""
    for batch, labels in images.test_batches():
        yield bottom_activations(a, batch, labels, cuts), labels


class ActivationCache:
    """A's tensors for some training images, neither augmented nor moving: each is computed when first asked for and
    kept from then on, as far as the budget goes.

    Late cuts are kept first: they are the smallest and cost the most to compute again. What is not kept is recomputed
    from the images, by a pass that goes no deeper than it must.
    """

    def __init__(self, a: nn.Module, images: Images, rows: np.ndarray, cuts: Mapping[str, Shape], budget: int):
        """rows: the training images that may be asked for; cuts: name and shape, in order of depth; budget in bytes."""
        self._a, self._images, self._cuts = a, images, tuple(cuts)
        self._place = np.full(len(images.train), -1)
        self._place[rows] = np.arange(len(rows))
        self._rows = rows
        self._filled = np.zeros(len(rows), bool)
        self._kept: dict[str, Tensor | None] = {}
        self.bytes = 0
        for cut, shape in reversed(list(cuts.items())):
            size = 4 * len(rows) * prod(shape)
            if self.bytes + size <= budget:
                self._kept[cut] = None  # allocated when the first batch shows its layout
                self.bytes += size

    def __iter__(self) -> Iterator[tuple[Feed, Tensor]]:
        """All the images, in the order of `rows`, in chunks."""
        for start in range(0, len(self._rows), CHUNK):
            yield self.batch(self._rows[start : start + CHUNK])

    @torch.no_grad()
    def batch(self, rows: np.ndarray) -> tuple[Feed, Tensor]:
        """A's tensors at the cuts, and the labels, for some of the images."""
        place = self._place[rows]
        index = torch.from_numpy(rows).to(self._images.train.device)
        labels = self._images.train_labels[index]
        known = bool(self._filled[place].all())
        at = torch.from_numpy(place).to(index.device)
        feed = {cut: store[at] for cut, store in self._kept.items() if store is not None} if known else {}
        if missing := [cut for cut in self._cuts if cut not in feed]:
            feed |= bottom_activations(self._a, self._images.train_batch(index), labels, missing)
        if not known:
            self._keep(feed, at)
            self._filled[place] = True
        return feed, labels

    def _keep(self, feed: Feed, at: Tensor) -> None:
        for cut, store in self._kept.items():
            x = feed[cut]
            if store is None:
                lay = torch.channels_last if x.ndim == 4 and is_channels_last(x) else torch.contiguous_format
                store = torch.empty((len(self._rows), *x.shape[1:]), device=x.device, memory_format=lay)
                self._kept[cut] = store
            store[at] = x


def is_channels_last(x: Tensor) -> bool:
    """Whether a map's channels are its fastest dimension. Of one channel or one pixel both layouts are true."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def evenly_spaced(indices: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the indices, evenly spaced: a sorted data set gives every class its share."""
    indices = np.asarray(indices)
    return indices if len(indices) <= most else indices[np.linspace(0, len(indices) - 1, most).astype(np.int64)]
