"""Whether the halves of a network are the network: its cuts, tried on random images."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Network, Shape
from sweeper.trials.external.dissect import dissect

IMAGES = 2
TOLERANCE = 1e-5  # of the largest difference between the logits of two images
NOISE = 0.02  # on weights that start out all alike


@dataclass(frozen=True)
class Probe:
    """What cutting a network showed."""

    card: Network
    whole: Mapping[str, str]  # submodules that could not be traced, and why: no cut lies inside
    exact: bool  # top(bottom(x)) is model(x) bit for bit; otherwise within `TOLERANCE`


@torch.no_grad()
def probe(network: nn.Module, image: Shape) -> Probe:
    """Cuts a network and checks on random images, in eval mode, that its stages in a row compute what it computes: so
    do the two halves at every cut, which are these stages up to there and from there on.

    Weights that are all alike get some noise first, in place: of a network whose last layer starts at zero every
    logit is zero, and any two halves would agree. Raises NetworkError where it can't be cut or the two don't agree.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for weights in network.parameters():
            if weights.numel() and (weights == weights.flatten()[0]).all():
                weights.add_(torch.randn_like(weights), alpha=NOISE)
        images = torch.randn(IMAGES, *image)
    found = dissect(network, image)
    whole, parts = network(images), found.staged(images)
    _compare(type(network).__name__, whole, parts)
    return Probe(found.card, found.whole, torch.equal(whole, parts))


def _compare(name: str, whole: Tensor, parts: Tensor) -> None:
    spread = float((whole[0] - whole[1]).abs().max())
    if not spread > 0:  # nan too
        raise NetworkError(f"{name} says the same of any two images, so nothing shows whether its halves are right")
    apart = float((whole - parts).abs().max())
    if not apart <= TOLERANCE * spread:
        raise NetworkError(f"the stages of {name} compute something else: off by {apart:.3g}, of {spread:.3g}")
