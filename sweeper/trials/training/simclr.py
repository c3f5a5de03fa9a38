"""SimCLR (Chen et al. 2020): a network learns, without labels, to tell two views of one image from those of others.

The encoder is the network up to its last cut. A projection head stands on it in training and is thrown away; a linear
probe on the frozen encoder's features then gives the network its last stage, and so a top to stitch to.
"""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.shapes import channels
from sweeper.spec.records.task import TrainingRun
from sweeper.trials.data.simclr_views import DRAWS, view
from sweeper.trials.data.stream import Stream, normalize
from sweeper.trials.networks import network_cards
from sweeper.trials.networks.activation_batches import ACTIVATION_BUDGET, ActivationCache
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.network import Images
from sweeper.trials.process.compiled import compile_forward
from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.process.philox import Purpose, bits, uniform

PROJECTED = 128  # dimensions in which views are compared (section 4.2)
PROBE_LR = 0.01  # Adam's, falling to 0 along a cosine: a convex problem, for which it reaches far enough


class SimCLR:
    """The objective of a training run: NT-Xent between two views of each image of a batch.

    The stream says which images a step sees; its augmentation says whether views may be mirror images. Labels are read
    by the probe alone.
    """

    def __init__(self, training: TrainingRun, network: nn.Module, stream: Stream, images: Images):
        self._training, self._network, self._stream, self._images = training, network, stream, images
        card = network_cards.catalog().network_of(training)
        self._cut = card.cuts[-1]
        self._encode = compile_forward(bottom(network, self._cut.name))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(bits(training.seed, Purpose.HEAD, 0, 1)[0] >> 1))
            head = _head(channels(self._cut.shape))
        self._head = head.to(images.train.device)

    def parameters(self) -> Iterator[nn.Parameter]:
        """What learns: encoder and head, all but the network's last stage."""
        last = {id(weights) for weights in top(self._network, self._cut.name).parameters()}
        yield from (weights for weights in self._network.parameters() if id(weights) not in last)
        yield from self._head.parameters()

    def loss(self, step: int) -> tuple[Tensor, Tensor]:
        """NT-Xent of a step, and the share of views to which a view of another image is the nearest."""
        x = torch.cat([self._view(2 * step), self._view(2 * step + 1)])
        with autocast_step():
            projected = self._head(pool_features(self._encode(x))).float()
        return nt_xent(projected, self._training.temperature)

    def evaluation_copy(self) -> nn.Module:
        """A copy of the network whose last stage is a linear probe."""
        network = copy.deepcopy(self._network)
        _probe(network, self._cut.name, self._training, self._stream, self._features(network))
        return network

    def _view(self, number: int) -> Tensor:
        """A view of the images of step number // 2, normalised."""
        rows = torch.from_numpy(self._stream.rows(number // 2)).to(self._images.train.device)
        draws = uniform(bits(self._training.seed, Purpose.VIEWS, number, DRAWS * len(rows))).reshape(DRAWS, -1)
        mirror = self._training.augment == "crop_flip"
        seen = view(self._images.train[rows], torch.from_numpy(draws).to(rows.device), mirror)
        return normalize(255 * seen, self._images.mean, self._images.std)

    def _features(self, network: nn.Module) -> ActivationCache:
        cuts = {self._cut.name: self._cut.shape}
        return ActivationCache(network.eval(), self._images, self._stream.indices, cuts, ACTIVATION_BUDGET)


def nt_xent(projected: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The normalised temperature-scaled cross-entropy (equation 1), and its error as a share.

    projected (2n, d): rows i and n + i are the two views of image i. With s the cosine similarity over the temperature,
    the loss is the mean over all views i, with partner j, of -log(exp(s_ij) / sum over k other than i of exp(s_ik)).
    """
    count = len(projected)
    unit = functional.normalize(projected, dim=1)
    itself = torch.eye(count, dtype=torch.bool, device=unit.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    partner = torch.arange(count, device=unit.device).roll(count // 2)
    error = (similarity.detach().argmax(1) != partner).float().mean()
    return functional.cross_entropy(similarity, partner), error


def pool_features(features: Tensor) -> Tensor:
    """Features of a vector (n, f), of a map (n, f, h, w) or of tokens (n, t, f), as (n, f)."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def _head(features: int) -> nn.Module:
    """A hidden layer as wide as the features, then the projection (section 4.2)."""
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, PROJECTED))


def _probe(network: nn.Module, cut: str, training: TrainingRun, stream: Stream, features: ActivationCache) -> None:
    """Trains the stages after the cut in place on kept features of images that are not augmented, with the stream's
    labels and the run's label smoothing, for `probe_steps`; what lies before is in eval mode and stays as it is."""
    probe = top(network, cut).train()
    optimizer = torch.optim.Adam(probe.parameters(), lr=PROBE_LR)
    for step in range(training.probe_steps):
        for group in optimizer.param_groups:
            group["lr"] = PROBE_LR * (1 + math.cos(math.pi * step / training.probe_steps)) / 2
        rows = stream.rows(step)
        feed, _ = features.batch(rows)
        labels = stream.labels[torch.from_numpy(rows).to(stream.labels.device)]
        optimizer.zero_grad()
        functional.cross_entropy(probe(feed[cut]), labels, label_smoothing=training.label_smoothing).backward()
        optimizer.step()
