"""The head of a network: the last layer, whose outputs are the logits."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.trials.networks.fold import freeze

LAYERS = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def head_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers of a network's head.

    These are the layers that timm's description of a network names, or those that an external network had before it
    was split into stages, otherwise the last convolution or linear layer.

    Raises:
        NetworkError: The network has no such layer.
    """
    if recorded := getattr(network, "head_layers", ()):
        return recorded
    described: Any = getattr(network, "pretrained_cfg", None) or {}
    names = described.get("classifier") or () if isinstance(described, Mapping) else ()
    layers = [name for name, module in network.named_modules() if isinstance(module, LAYERS)]
    named = tuple(name for name in ([names] if isinstance(names, str) else names) if name in layers)
    if not (named or layers):
        raise NetworkError("the network has no convolution and no linear layer, so it has no head")
    return named or (layers[-1],)


def layers_with(network: nn.Module, weights: Collection[nn.Parameter]) -> tuple[str, ...]:
    """Return the names of the layers that have some of these weights."""
    ids = {id(tensor) for tensor in weights}
    names = (name.rpartition(".")[0] for name, tensor in network.named_parameters() if id(tensor) in ids)
    return tuple(dict.fromkeys(names))


def without_head(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of a network, or of another part of it, without the tensors of its head."""
    prefixes = tuple(f"{name}." for name in head_layers(network))
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


def freeze_all_but_head(network: nn.Module) -> None:
    """Freeze all layers of a network but its head, in place."""
    freeze(network)
    for name in head_layers(network):
        network.get_submodule(name).train().requires_grad_(True)
