"""Where the channels of a map are: of (images, 56, 56, 96), as Swin keeps its maps, they are the last axis."""

from collections.abc import Iterable, Mapping

from torch import fx, nn

from sweeper.trials.external.observe import Observed

_MOVING = ("permute", "transpose", "reshape", "view", "Permute")


def channels_last(network: nn.Module, nodes: Iterable[fx.Node], seen: Mapping[fx.Node, Observed]) -> set[fx.Node]:
    """The maps with their channels last: those that a layer working on the last axis (`LayerNorm`, `Linear`) makes or
    reads, and what comes of them element by element."""
    found: set[fx.Node] = set()
    for node in nodes:
        shape = seen[node].shape
        if shape is None or len(shape) != 3:
            continue
        beside = [other for other in node.all_input_nodes if seen[other].shape == shape]
        works = any(_on_last_axis(network, other) for other in (node, *node.users))
        if works or (not moves(network, node) and any(other in found for other in beside)):
            found.add(node)
    return found


def _on_last_axis(network: nn.Module, node: fx.Node) -> bool:
    # Exactly these: torchvision's LayerNorm2d is a LayerNorm that works on the first axis of a map.
    return node.op == "call_module" and type(network.get_submodule(str(node.target))) in (nn.LayerNorm, nn.Linear)


def moves(network: nn.Module, node: fx.Node) -> bool:
    """Whether an operation only arranges the axes of a tensor anew."""
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__ in _MOVING
    return (node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")) in _MOVING
