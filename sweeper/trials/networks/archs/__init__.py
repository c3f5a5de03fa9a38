"""Architectures as torch modules: `build` makes the network that a card describes."""

import torch
from torch import nn

from sweeper.spec.cards.archs import ARCHS, fitting
from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.probed import is_external
from sweeper.spec.records.task import Options
from sweeper.trials.process.builder import import_builder


def build(name: str, options: OptionValues | Options, shape: Shape, classes: int, seed: int = 0) -> nn.Module:
    """A network at its random initialisation: float32, on the CPU, in train mode.

    `seed` alone decides the weights; torch's global generator is left as it was. `options` is a mapping or
    (name, value) pairs, what it leaves out takes its default. Images have `shape` (channels, height, width).
    Raises KeyError for an unknown architecture, ValueError for an option that it doesn't have and for settings that
    can't be on such images, SweeperError for a network from elsewhere that can't be had or cut.
    """
    if is_external(name):
        from sweeper.trials.networks.traced.staged_network import (
            build as external,  # which is made of this room's parts
        )

        return external(name, shape, classes, seed)
    builder = import_builder(ARCHS[name].builder)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the generators of GPUs, which are not forked here.
        torch.default_generator.manual_seed(seed)
        return builder(fitting(name, options, shape), shape, classes)
