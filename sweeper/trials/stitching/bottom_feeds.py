"""The activations of a group's bottom model, for the images that train, stop and test its stitches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.protocols import STOP_IMAGES
from sweeper.trials.data.stream import Stream
from sweeper.trials.networks.activation_batches import (
    ACTIVATION_BUDGET,
    ActivationCache,
    evenly_spaced,
    test_batches,
    train_batch,
)
from sweeper.trials.networks.network import Images
from sweeper.trials.stitching.stitched_network import Batch


@dataclass(frozen=True)
class BottomFeeds:
    """The bottom model of a group with the images that it is applied to."""

    unfolded: nn.Module
    folded: nn.Module
    cuts: Mapping[str, Shape]  # the shapes of the activations by cut, for the cuts of the stitches, in order of depth
    images: Images  # what the top model sees
    bottom_images: Images  # what the bottom model sees, with the labels of `images`: other pixels for `sender: noise`
    stream: Stream  # of the bottom's images that train the stitchers
    held_out_rows: np.ndarray  # the training images that decide when to stop

    def sample_images(self, count: int, batch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield training images in batches, normalised: those of the bottom, those of the top, and their labels.

        Args:
            count: The number of images, evenly spaced over the stream's.
            batch: The largest number of images of a batch.
        """
        rows = torch.from_numpy(evenly_spaced(self.stream.indices, count)).to(self.images.train.device)
        for part in rows.split(max(batch, 1)):
            top_images = self.images.train_batch(part)
            is_same = self.bottom_images is self.images
            bottom_images = top_images if is_same else self.bottom_images.train_batch(part)
            yield bottom_images, top_images, self.images.train_labels[part]

    def train_batches(self, a: nn.Module) -> Callable[[int], Batch]:
        """Return the function from a step to the activations of `a` and the labels, computed anew at each step."""
        return partial(train_batch, a, self.stream, self.cuts)

    def cached_train_batches(self, steps: int) -> tuple["TrainBatches", Iterable[Batch]]:
        """Return the function from a step to the folded model's activations, and the batches of held-out images.

        Args:
            steps: The largest number of steps of training. The activations of training images are cached if an image
                comes twice in these steps and is not augmented.
        """
        stop_rows = evenly_spaced(self.held_out_rows, STOP_IMAGES)
        held_out = ActivationCache(self.folded, self.bottom_images, stop_rows, self.cuts, ACTIVATION_BUDGET)
        rows = self.stream.indices
        if self.stream.augment != "none" or steps * self.stream.batch_size <= len(rows):
            return TrainBatches(self.train_batches(self.folded)), held_out
        cache = ActivationCache(self.folded, self.bottom_images, rows, self.cuts, ACTIVATION_BUDGET - held_out.bytes)
        return TrainBatches(lambda step: cache.batch(self.stream.rows(step)), cache), held_out

    def test_batches(self, a: nn.Module) -> Iterator[Batch]:
        """Yield the activations of `a` and the labels for the test images."""
        return test_batches(a, self.bottom_images, self.cuts)


@dataclass(frozen=True)
class TrainBatches:
    """The function from a step to A's activations and the labels, and the cache that it uses, if any."""

    batch: Callable[[int], Batch]
    cache: ActivationCache | None = None

    def __call__(self, step: int) -> Batch:
        """Return the activations and labels of a step."""
        return self.batch(step)

    @property
    def complete(self) -> bool:
        """True if no earlier batch is missing in the cache.

        An activation may be rounded otherwise in another batch, so after an interruption the cache is filled again by
        the batches that filled it before.
        """
        return self.cache is None or self.cache.complete
