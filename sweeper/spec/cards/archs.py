"""Architectures: where each can be cut, the shapes there, and what a forward pass costs, without torch."""

from functools import lru_cache

from sweeper.spec.task import Options

from .card import ArchCard, Network, OptionValues, Shape
from .nets.mlp import MLP
from .nets.myrtle import MYRTLE
from .nets.resnet import RESNET18K
from .nets.resnet_cifar import RESNET_CIFAR
from .nets.vit import VIT

ARCHS: dict[str, ArchCard] = {card.name: card for card in (RESNET18K, MYRTLE, RESNET_CIFAR, VIT, MLP)}


def settings(name: str, options: OptionValues | Options) -> OptionValues:
    """Every option of an architecture, sorted: those given, the card's defaults for the others.

    Raises KeyError for an unknown architecture, ValueError for an option that it doesn't have.
    """
    card, given = ARCHS[name], dict(options)
    if unknown := given.keys() - card.options.keys():
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(card.options)}")
    defaults = {option: spec.default for option, spec in card.options.items() if spec.default is not None}
    return dict(sorted({**defaults, **given}.items()))


def fitting(name: str, options: OptionValues | Options, shape: Shape) -> OptionValues:
    """`settings`, for images of `shape` (channels, height, width). Raises as it does, and ValueError for settings that
    can't be on such images."""
    chosen = settings(name, options)
    if reason := ARCHS[name].misfit(chosen, shape):
        raise ValueError(f"{name}: {reason}")
    return chosen


def network(name: str, options: OptionValues | Options, shape: Shape, classes: int) -> Network:
    """The costs and cuts of an architecture on images of `shape` (channels, height, width); cached.

    `options` is a mapping or (name, value) pairs; what it leaves out takes its default. Raises as `fitting` does.
    """
    return _network(name, tuple(fitting(name, options, shape).items()), tuple(shape), classes)


@lru_cache(maxsize=4096)
def _network(name: str, options: Options, shape: Shape, classes: int) -> Network:
    return ARCHS[name].network(dict(options), shape, classes)
