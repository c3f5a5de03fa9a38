"""Architectures: where each can be cut, the shapes there, and what a forward pass costs, without torch."""

from collections.abc import Mapping
from functools import lru_cache

from sweeper.spec.task import Options

from . import probed
from .card import ArchCard, Network, Option, OptionValues, Shape
from .nets.mlp import MLP
from .nets.myrtle import MYRTLE
from .nets.resnet import RESNET18K
from .nets.resnet_cifar import RESNET_CIFAR
from .nets.vit import VIT

ARCHS: dict[str, ArchCard] = {card.name: card for card in (RESNET18K, MYRTLE, RESNET_CIFAR, VIT, MLP)}


def options_of(name: str) -> Mapping[str, Option]:
    """The settings that an architecture has. Raises KeyError for an unknown one."""
    return {} if probed.is_external(name) else ARCHS[name].options


def settings(name: str, options: OptionValues | Options) -> OptionValues:
    """Every option of an architecture, sorted: those given, the card's defaults for the others.

    Raises KeyError for an unknown architecture, ValueError for an option that it doesn't have.
    """
    known, given = options_of(name), dict(options)
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(known) or 'none'}")
    defaults = {option: spec.default for option, spec in known.items() if spec.default is not None}
    return dict(sorted({**defaults, **given}.items()))


def fitting(name: str, options: OptionValues | Options, shape: Shape) -> OptionValues:
    """`settings`, for images of `shape` (channels, height, width). Raises as it does, and ValueError for settings that
    can't be on such images."""
    chosen = settings(name, options)
    if reason := misfit(name, chosen, shape):
        raise ValueError(f"{name}: {reason}")
    return chosen


def misfit(name: str, chosen: OptionValues, shape: Shape) -> str:
    """Why an architecture with these settings (all of them) can't be on images of `shape`; "" where it can, and of a
    network from elsewhere, of which only its probe can say."""
    return "" if probed.is_external(name) else ARCHS[name].misfit(chosen, shape)


def network(name: str, options: OptionValues | Options, shape: Shape, classes: int) -> Network:
    """The costs and cuts of an architecture on images of `shape` (channels, height, width); cached.

    `options` is a mapping or (name, value) pairs; what it leaves out takes its default. Raises as `fitting` does, and
    NetworkError for a network from elsewhere that wasn't probed.
    """
    if probed.is_external(name):
        settings(name, options)
        return probed.network(name, shape, classes)
    return _network(name, tuple(fitting(name, options, shape).items()), tuple(shape), classes)


@lru_cache(maxsize=4096)
def _network(name: str, options: Options, shape: Shape, classes: int) -> Network:
    return ARCHS[name].network(dict(options), shape, classes)
