"""The position of a map's channels: first, or last as in Swin's maps (images, 56, 56, 96)."""

from collections.abc import Iterable, Mapping

from torch import fx, nn

from sweeper.trials.networks.traced.observe import NodeValue

_MOVING = ("permute", "transpose", "reshape", "view", "Permute")


def channels_last(network: nn.Module, nodes: Iterable[fx.Node], values: Mapping[fx.Node, NodeValue]) -> set[fx.Node]:
    """Return the nodes whose value is a map with its channels last.

    These are the maps that a layer working on the last axis (`LayerNorm`, `Linear`) returns or reads, and the maps of
    the same shape that are computed from them without moving axes.
    """
    last: set[fx.Node] = set()
    for node in nodes:
        shape = values[node].shape
        if shape is None or len(shape) != 3:
            continue
        inputs = [other for other in node.all_input_nodes if values[other].shape == shape]
        works = any(_on_last_axis(network, other) for other in (node, *node.users))
        if works or (not moves(network, node) and any(other in last for other in inputs)):
            last.add(node)
    return last


def _on_last_axis(network: nn.Module, node: fx.Node) -> bool:
    # Exactly these: torchvision's LayerNorm2d is a LayerNorm that works on the first axis of a map.
    return node.op == "call_module" and type(network.get_submodule(str(node.target))) in (nn.LayerNorm, nn.Linear)


def moves(network: nn.Module, node: fx.Node) -> bool:
    """Return whether an operation only reorders or reshapes the axes of a tensor."""
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__ in _MOVING
    return (node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")) in _MOVING
