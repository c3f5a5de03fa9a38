"""External networks (torchvision, timm, user code) as staged networks, with the card that splitting them gives."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.probed import Probed
from sweeper.spec.cards.user_networks import name_in_rows
from sweeper.spec.records.task import Options
from sweeper.spec.user_code.code import hash_network, is_file_name
from sweeper.trials.networks import network_cards
from sweeper.trials.networks.archs.staged import Staged
from sweeper.trials.networks.heads import head_layers, layers_with
from sweeper.trials.networks.state_dicts import fill
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.layouts import as_library_reads
from sweeper.trials.networks.traced.split_network import split_network


def build_traced_network(
    name: str,
    image: Shape,
    classes: int,
    seed: int,
    state: Mapping[str, Tensor] | None = None,
    options: Options = (),
    new_head: bool = False,
) -> Staged:
    """Build an external network as stages, in train mode, and add its card to `network_cards`.

    Args:
        name: `torchvision:NAME`, `timm:NAME`, `path/to/file.py:NAME` or `package.module:callable`.
        image: The shape of an image (channels, height, width).
        classes: The number of classes.
        seed: The seed of the random initialisation.
        state: Weights under the names of the network's own modules; None: the random initialisation.
        options: The settings of a network in a user's file, all of them.
        new_head: True keeps the head's random initialisation.

    Raises:
        UsageError: As in `make`.
        NetworkError: As in `make`, `fill` and `split_network`.
    """
    # A plan contains only code that the user trusts.
    network = make(name, image, classes, seed=seed, trust=True, options=options)
    if state is not None:
        fill(network, as_library_reads(name, network, state, new_head), new_head)
    head = [weights for layer in head_layers(network) for weights in network.get_submodule(layer).parameters()]
    split = split_network(network, image, classes)
    split.staged.head_layers = layers_with(split.staged, head)
    network_cards.add_measured(Probed(_name_in_rows(name), image, classes, split.card, options))
    return split.staged.train()


def _name_in_rows(name: str) -> str:
    return name_in_rows(hash_network(name, Path())) if is_file_name(name) else name
