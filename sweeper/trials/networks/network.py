"""A worker's images on a device, and its frozen networks with their test scores."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from sweeper.spec.records.task import Groups
from sweeper.trials.data.load import Dataset
from sweeper.trials.data.stream import normalize
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.drift import TopReference
from sweeper.trials.networks.finite import CheckedActivations
from sweeper.trials.networks.fold import fold, freeze
from sweeper.trials.networks.scoring import Score, ScoreCounter
from sweeper.trials.process.memory_format import to_fast_layout

CHUNK = 500  # images of a batch in a pass without gradients


@dataclass(frozen=True)
class Images:
    """A data set on a device: pixels uint8 (n, c, h, w), labels int64 (n,), and the constants that normalise pixels."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def from_dataset(dataset: Dataset, device: torch.device) -> "Images":
        """Return a data set on a device; on the CPU the arrays are not copied."""
        return Images(
            train=torch.as_tensor(dataset.train_images).to(device),
            train_labels=torch.as_tensor(dataset.train_labels).to(device),
            test=torch.as_tensor(dataset.test_images).to(device),
            test_labels=torch.as_tensor(dataset.test_labels).to(device),
            mean=dataset.mean,
            std=dataset.std,
        )

    def with_grouped_labels(self, groups: Groups) -> "Images":
        """Return the same images with the index of a class's group as label; () leaves the labels unchanged."""
        if not groups:
            return self
        table = torch.empty(sum(map(len, groups)), dtype=torch.int64)
        for label, group in enumerate(groups):
            table[list(group)] = label
        table = table.to(self.train_labels.device)
        return replace(self, train_labels=table[self.train_labels], test_labels=table[self.test_labels])

    def train_batch(self, rows: Tensor) -> Tensor:
        """Return some of the training images, given by their indices, normalised and not augmented, float32."""
        return normalize(self.train[rows], self.mean, self.std)

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test images, normalised, and their labels, in batches of `CHUNK` images."""
        for start in range(0, len(self.test), CHUNK):
            part = slice(start, start + CHUNK)
            yield normalize(self.test[part], self.mean, self.std), self.test_labels[part]


class Network:
    """A frozen network with its test score.

    Attributes:
        unfolded: The network in eval mode.
        digest: The digest of its weights.
    """

    def __init__(self, network: nn.Module, digest: str, images: Images):
        """Freeze a network, in place. `images` have the labels for which it was trained."""
        self.unfolded = to_fast_layout(freeze(network), tuple(images.train.shape[1:]))
        self.digest = digest
        self._images = images

    @cached_property
    def folded(self) -> nn.Module:
        """The network with folded norms, which is faster; its bottoms and tops are used in stitched networks."""
        return fold(self.unfolded)

    @cached_property
    def score(self) -> Score:
        """The test score, computed in the same batches as that of stitched networks."""
        return score(self.folded, self._images.test_batches())

    @torch.no_grad()
    def top_reference(self, images: Tensor, cuts: Collection[str]) -> TopReference:
        """Return the activations at some cuts and the predictions for a batch, from one pass."""
        stages = self.folded.stages
        assert isinstance(stages, nn.ModuleDict)
        last = list(stages)[-1]
        activation_by_cut = activations(self.folded, images, {*cuts, last})
        predictions = activation_by_cut[last].argmax(1)
        return TopReference(CheckedActivations("B", {cut: activation_by_cut[cut] for cut in cuts}), predictions)

    @property
    def bytes(self) -> int:
        """The bytes of the weights, unfolded and folded."""
        return 2 * sum(tensor.nbytes for tensor in self.unfolded.state_dict().values())


@torch.no_grad()
def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """Return the score of a network in eval mode on batches of (images, labels)."""
    counter = ScoreCounter()
    for images, labels in batches:
        counter.add(network(images), labels)
    return counter.score()
