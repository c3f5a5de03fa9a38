"""A check, on random images, that the stages of a split network compute what the whole network computes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import NetworkLayout, Shape
from sweeper.trials.networks.traced.split_network import split_network

IMAGES = 2
TOLERANCE = 1e-5  # of the largest difference between the logits of two images
NOISE = 0.02  # standard deviation of the noise on weights whose entries are all equal


@dataclass(frozen=True)
class Probe:
    """The card of a network that was split, and how exactly its stages reproduce it."""

    card: NetworkLayout
    untraceable: Mapping[str, str]  # submodules that could not be traced, with the reason: no cut lies inside them
    exact: bool  # top(bottom(x)) is model(x) bit for bit; otherwise within `TOLERANCE`


@torch.no_grad()
def check_cuts(network: nn.Module, image: Shape, classes: int | None = None) -> Probe:
    """Split a network, and check on random images, in eval mode, that its stages in sequence compute the same logits.

    The bottom and the top at every cut are sequences of these stages, so that they are checked too. Weight tensors
    whose entries are all equal get noise first, in place: where the last layer starts at zero, all logits are zero, and
    any wrong split would pass.

    Args:
        network: The network to split.
        image: The shape of an image (channels, height, width).
        classes: The number of outputs that the network must have; None accepts any number.

    Raises:
        NetworkError: If the network can't be split, or its stages compute something else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for weights in network.parameters():
            if weights.numel() and (weights == weights.flatten()[0]).all():
                weights.add_(torch.randn_like(weights), alpha=NOISE)
        images = torch.randn(IMAGES, *image)
    split = split_network(network, image, classes)
    whole, parts = network(images), split.staged(images)
    _compare(type(network).__name__, whole, parts)
    return Probe(split.card, split.untraceable, torch.equal(whole, parts))


def _compare(name: str, whole: Tensor, parts: Tensor) -> None:
    spread = float((whole[0] - whole[1]).abs().max())
    if not spread > 0:  # nan too
        raise NetworkError(f"{name} returns the same logits for any two images, so its stages can't be checked")
    deviation = float((whole - parts).abs().max())
    if not deviation <= TOLERANCE * spread:
        raise NetworkError(
            f"the stages of {name} compute other logits than the whole network: they differ by {deviation:.3g}, "
            f"where the logits of two images differ by {spread:.3g}"
        )
