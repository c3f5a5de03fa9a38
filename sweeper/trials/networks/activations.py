"""Activations of a network at some of its cuts, from one forward pass."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from sweeper.trials.networks.archs.staged import stages

Feed = Mapping[str, Tensor]  # the activations of one batch of images by the name of the cut


def activations(network: nn.Module, images: Tensor, cuts: Iterable[str]) -> dict[str, Tensor]:
    """Return a network's activations by cut for one batch, from one pass that ends at the deepest of the cuts."""
    cut_names, x, activation_by_cut = set(cuts), images, {}
    for name, stage in stages(network).items():
        if len(activation_by_cut) == len(cut_names):
            break
        x = stage(x)
        if name in cut_names:
            activation_by_cut[name] = x
    return activation_by_cut
