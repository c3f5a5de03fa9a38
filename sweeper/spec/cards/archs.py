"""Cards of the architectures: cuts, shapes at the cuts and costs of a forward pass, without torch."""

from collections.abc import Mapping
from functools import lru_cache

from sweeper.spec.cards import probed
from sweeper.spec.cards.card import ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.nets.mlp import MLP
from sweeper.spec.cards.nets.myrtle import MYRTLE
from sweeper.spec.cards.nets.preact_resnet_cifar import PREACT_RESNET_CIFAR
from sweeper.spec.cards.nets.resnet import RESNET18K
from sweeper.spec.cards.nets.resnet_cifar import RESNET_CIFAR
from sweeper.spec.cards.nets.vit import VIT
from sweeper.spec.records.task import Options

ARCHS: dict[str, ArchCard] = {
    card.name: card for card in (RESNET18K, MYRTLE, PREACT_RESNET_CIFAR, RESNET_CIFAR, VIT, MLP)
}


def options_of(name: str) -> Mapping[str, Option]:
    """Return the options that an architecture has.

    Raises:
        KeyError: If the architecture is unknown.
    """
    return {} if probed.is_external(name) else ARCHS[name].options


def complete_options(name: str, options: OptionValues | Options) -> OptionValues:
    """Return every option of an architecture, sorted: the given values, and the card's defaults for the others.

    Raises:
        KeyError: If the architecture is unknown.
        ValueError: If it doesn't have one of the options.
    """
    declared, values = options_of(name), dict(options)
    if unknown := values.keys() - declared.keys():
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(declared) or 'none'}")
    defaults = {option: spec.default for option, spec in declared.items() if spec.default is not None}
    return dict(sorted({**defaults, **values}.items()))


def checked_options(name: str, options: OptionValues | Options, shape: Shape) -> OptionValues:
    """Return all options of an architecture, checked against images of `shape` (channels, height, width).

    Raises:
        KeyError: If the architecture is unknown.
        ValueError: If it doesn't have one of the options, or can't take such images with these settings.
    """
    chosen = complete_options(name, options)
    if reason := images_misfit(name, chosen, shape):
        raise ValueError(f"{name}: {reason}")
    return chosen


def images_misfit(name: str, chosen: OptionValues, shape: Shape) -> str:
    """Return the reason why an architecture with these settings (all of them) can't take images of `shape`.

    Returns "" if it can, and for an external network, for which only its measurement can tell.
    """
    return "" if probed.is_external(name) else ARCHS[name].misfit(chosen, shape)


def network(name: str, options: OptionValues | Options, shape: Shape, classes: int) -> NetworkLayout:
    """Return the costs and cuts of a built-in architecture on images of `shape` (channels, height, width); cached.

    Args:
        name: The architecture.
        options: A mapping or (name, value) pairs; an option that is left out takes its default.
        shape: The shape of an image.
        classes: The number of outputs.

    Raises:
        KeyError, ValueError: As `checked_options` does.
    """
    return _network(name, tuple(checked_options(name, options, shape).items()), tuple(shape), classes)


@lru_cache(maxsize=4096)
def _network(name: str, options: Options, shape: Shape, classes: int) -> NetworkLayout:
    return ARCHS[name].network(dict(options), shape, classes)
