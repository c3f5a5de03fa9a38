"""Networks and images as a worker holds them: loaded once, frozen, folded, scored once."""

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
from sweeper.trials.networks.fold import fold, freeze
from sweeper.trials.networks.scoring import Score, ScoreCounter
from sweeper.trials.process.memory_format import to_fast_layout

CHUNK = 500  # images of a pass without gradients


@dataclass(frozen=True)
class Images:
    """A data set on a device: pixels uint8 (n, c, h, w), labels int64 (n,), and how pixels are normalised."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def from_dataset(dataset: Dataset, device: torch.device) -> "Images":
        """Moves a data set to a device; on the CPU nothing is copied."""
        return Images(
            train=torch.as_tensor(dataset.train_images).to(device),
            train_labels=torch.as_tensor(dataset.train_labels).to(device),
            test=torch.as_tensor(dataset.test_images).to(device),
            test_labels=torch.as_tensor(dataset.test_labels).to(device),
            mean=dataset.mean,
            std=dataset.std,
        )

    def with_grouped_labels(self, groups: Groups) -> "Images":
        """The same images, each labelled by its class's group; () leaves the classes. No pixel is copied."""
        if not groups:
            return self
        table = torch.empty(sum(map(len, groups)), dtype=torch.int64)
        for label, group in enumerate(groups):
            table[list(group)] = label
        table = table.to(self.train_labels.device)
        return replace(self, train_labels=table[self.train_labels], test_labels=table[self.test_labels])

    def train_batch(self, rows: Tensor) -> Tensor:
        """Some of the training images, normalised and not augmented."""
        return normalize(self.train[rows], self.mean, self.std)

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The test images, normalised, and their labels, in batches that are the same for every network."""
        for start in range(0, len(self.test), CHUNK):
            part = slice(start, start + CHUNK)
            yield normalize(self.test[part], self.mean, self.std), self.test_labels[part]


class Network:
    """A frozen network: `whole` as it was trained, in eval mode; `folded` computes the same, faster. `images` carry the
    labels that it was trained for."""

    def __init__(self, network: nn.Module, digest: str, images: Images):
        self.unfolded = to_fast_layout(freeze(network), tuple(images.train.shape[1:]))
        self.digest = digest
        self._images = images

    @cached_property
    def folded(self) -> nn.Module:
        """Cut where the whole can be cut; its halves are the very modules that judge it and its stitches."""
        return fold(self.unfolded)

    @cached_property
    def score(self) -> Score:
        """Its own test score, by the pass that judges it as half of a stitched network."""
        return score(self.folded, self._images.test_batches())

    @torch.no_grad()
    def top_reference(self, images: Tensor, cuts: Collection[str]) -> TopReference:
        """Its tensors at some cuts and its predictions for a batch, from one pass."""
        stages = self.folded.stages
        assert isinstance(stages, nn.ModuleDict)
        last = list(stages)[-1]
        found = activations(self.folded, images, {*cuts, last})
        return TopReference(found, found[last].argmax(1))

    @property
    def bytes(self) -> int:
        """Of weights, whole and folded."""
        return 2 * sum(tensor.nbytes for tensor in self.unfolded.state_dict().values())


@torch.no_grad()
def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """How a network in eval mode does on batches of (images, labels)."""
    counter = ScoreCounter()
    for images, labels in batches:
        counter.add(network(images), labels)
    return counter.score()
