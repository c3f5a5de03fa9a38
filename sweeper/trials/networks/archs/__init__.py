"""Architectures as torch modules: `build` makes the network that a card describes."""

import torch
from torch import nn

from sweeper.spec.cards.archs import ARCHS, checked_options
from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.probed import is_external
from sweeper.spec.records.task import Options
from sweeper.trials.process.builder import import_builder


def build(name: str, options: OptionValues | Options, shape: Shape, classes: int, seed: int = 0) -> nn.Module:
    """Build a network at its random initialisation, float32, on the CPU, in train mode.

    torch's global generator is left unchanged.

    Args:
        name: An architecture's name, or that of an external network (`TrainingRun.builder`).
        options: A mapping or (name, value) pairs; options that are left out have their default.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
        seed: The seed of the weights, which depend on nothing else.

    Raises:
        KeyError: If the architecture is unknown.
        ValueError: If the architecture has no such option, or the options don't suit images of this shape.
        SweeperError: If an external network can't be built or cut.
    """
    if is_external(name):
        from sweeper.trials.networks.traced.staged_network import (
            build_traced_network,  # deferred, as that module imports this package
        )

        return build_traced_network(name, shape, classes, seed, options=tuple(sorted(dict(options).items())))
    builder = import_builder(ARCHS[name].builder)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the generators of GPUs, which are not forked here.
        torch.default_generator.manual_seed(seed)
        return builder(checked_options(name, options, shape), shape, classes)
