"""SimCLR (Chen et al. 2020): training without labels, to recognise two random views of the same image among others.

The encoder is the network up to its last cut. In training it is followed by a projection head, which is not stored.
The network's last stage is then trained as a linear probe on the frozen encoder's features, so that the network has
logits and can be a top model.
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
from sweeper.trials.training.learning_curve import mean_loss

PROJECTED = 128  # dimensions of the projection in which views are compared (section 4.2)
PROBE_LR = 0.01  # of Adam, decreasing to 0 along a cosine; enough for this convex problem


class SimCLR:
    """The NT-Xent loss between two views of each image of a batch, as the objective of a training run.

    The images of a step are those of the stream. Views may be mirror images if the run's augmentation includes flips.
    Only the probe uses labels.
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

    @property
    def module(self) -> nn.Module:
        """The network and the projection head."""
        return nn.ModuleList([self._network, self._head])

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights of the encoder and the projection head: all but the network's last stage."""
        last = {id(weights) for weights in top(self._network, self._cut.name).parameters()}
        yield from (weights for weights in self._network.parameters() if id(weights) not in last)
        yield from self._head.parameters()

    def loss(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the NT-Xent loss of a step, and the share of views whose nearest view is of another image."""
        x = torch.cat([self._view(2 * step), self._view(2 * step + 1)])
        with autocast_step():
            projected = self._head(pool_features(self._encode(x))).float()
        return nt_xent(projected, self._training.temperature)

    def evaluation_copy(self) -> nn.Module:
        """Return a copy of the network whose last stage is a newly trained linear probe."""
        network = copy.deepcopy(self._network)
        _probe(network, self._cut.name, self._training, self._stream, self._features(network))
        return network

    def _view(self, number: int) -> Tensor:
        """Return a normalised view of the images of step number // 2; a step has an even and an odd view."""
        rows = torch.from_numpy(self._stream.rows(number // 2)).to(self._images.train.device)
        draws = uniform(bits(self._training.seed, Purpose.VIEWS, number, DRAWS * len(rows))).reshape(DRAWS, -1)
        mirror = self._training.augment == "crop_flip"
        views = view(self._images.train[rows], torch.from_numpy(draws).to(rows.device), mirror)
        return normalize(255 * views, self._images.mean, self._images.std)

    def _features(self, network: nn.Module) -> ActivationCache:
        cuts = {self._cut.name: self._cut.shape}
        return ActivationCache(network.eval(), self._images, self._stream.indices, cuts, ACTIVATION_BUDGET)


def nt_xent(projected: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the normalised temperature-scaled cross-entropy (equation 1), and its error as a share.

    With s the cosine similarity divided by the temperature, the loss is the mean over all views i, with partner j, of
    -log(exp(s_ij) / sum over k other than i of exp(s_ik)).

    Args:
        projected: The projected views (2n, d); rows i and n + i are the two views of image i.
        temperature: The temperature.
    """
    count = len(projected)
    unit = functional.normalize(projected, dim=1)
    itself = torch.eye(count, dtype=torch.bool, device=unit.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    partner = torch.arange(count, device=unit.device).roll(count // 2)
    error = (similarity.detach().argmax(1) != partner).float().mean()
    return functional.cross_entropy(similarity, partner), error


def pool_features(features: Tensor) -> Tensor:
    """Average a map (n, f, h, w) or tokens (n, t, f) to (n, f); return vectors (n, f) unchanged."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def _head(features: int) -> nn.Module:
    """Return the projection head, with a hidden layer as wide as the features (section 4.2)."""
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, PROJECTED))


def _probe(network: nn.Module, cut: str, training: TrainingRun, stream: Stream, features: ActivationCache) -> None:
    """Train the stages after the cut, in place, for the run's `probe_steps`.

    The inputs are the cached features of images without augmentation, the targets the stream's labels, with the run's
    label smoothing. The stages before the cut are in eval mode and stay unchanged.
    """
    probe = top(network, cut).train()
    optimizer = torch.optim.Adam(probe.parameters(), lr=PROBE_LR)
    losses: list[Tensor] = []
    for step in range(training.probe_steps):
        for group in optimizer.param_groups:
            group["lr"] = PROBE_LR * (1 + math.cos(math.pi * step / training.probe_steps)) / 2
        rows = stream.rows(step)
        feed, _ = features.batch(rows)
        labels = stream.labels[torch.from_numpy(rows).to(stream.labels.device)]
        optimizer.zero_grad()
        loss = functional.cross_entropy(probe(feed[cut]), labels, label_smoothing=training.label_smoothing)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    if losses:
        mean_loss("the loss of the linear probe", losses, training.probe_steps)
