"""Cuts of a traced network, and the network as stages between them.

A cut is a tensor that every path from the images to the logits passes through: once it is there, nothing that came
before is needed again. Values that don't depend on the images (weights, a table of positions) are not carried across
a cut: each stage computes those that it needs. Numbers, such as the size of the batch, are not carried either: a stage
reads the batch size off its input, and all other numbers are constant for images of one size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import mul
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn.modules.dropout import _DropoutNd

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Cut, NetworkLayout, Shape
from sweeper.spec.cards.shapes import format_shape
from sweeper.trials.networks.affine_check import is_affine, keeps_channels
from sweeper.trials.networks.archs.staged import Staged, stages
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.traced.affine_nodes import is_affine_in
from sweeper.trials.networks.traced.channel_axis import channels_last, moves
from sweeper.trials.networks.traced.observe import NodeValue, observe
from sweeper.trials.networks.traced.trace import TracedNetwork, reason, trace, users_place
from sweeper.trials.networks.traced.value_names import names

# Layers that are the identity in eval mode, so that the cut after such a layer equals the cut before it. Those of
# torchvision and timm are listed by class name, as timm need not be installed.
_IDLE = (nn.Identity, _DropoutNd)
_IDLE_ELSEWHERE = ("StochasticDepth", "DropPath")


@dataclass(frozen=True)
class SplitNetwork:
    """A network split into stages, in eval mode, that share the original network's weights."""

    staged: Staged
    card: NetworkLayout
    untraceable: Mapping[str, str]  # submodules that could not be traced, with the reason: no cut lies inside them


def split_network(network: nn.Module, image: Shape, classes: int | None = None) -> SplitNetwork:
    """Trace a network, and split it into stages at every possible cut. Puts the network in eval mode.

    Args:
        network: The network to split.
        image: The shape of an image (channels, height, width).
        classes: The number of outputs that the network must have; None accepts any number.

    Raises:
        NetworkError: If the network can't be traced, can't process images of this shape, or does not return one
            vector of `classes` numbers for each image.
    """
    try:
        return _split(network, image, classes)
    except NetworkError:
        _refuse_container(type(network).__name__, _output(network, image))
        raise


def _split(network: nn.Module, image: Shape, classes: int | None) -> SplitNetwork:
    traced = trace(network, image)
    try:
        values = observe(traced, image)
    except Exception as error:  # whatever the network raises
        problem = f"{type(network).__name__} can't take images of {format_shape(image)}: {reason(error)}"
        raise NetworkError(f"{problem}{users_place(error)}") from error
    return _StageSplitter(traced, values, classes).split(image)


def _refuse_container(name: str, value: object) -> None:
    """Refuse an output that isn't a tensor, because it may contain the logits and more.

    Raises:
        NetworkError: The network returns a tuple, a list, a dictionary or another object.
    """
    if isinstance(value, torch.Tensor) or value is None:
        return
    if isinstance(value, Mapping):
        content = f"a dictionary with {', '.join(map(str, value))}"
    elif isinstance(value, tuple | list):
        content = f"a {'tuple' if isinstance(value, tuple) else 'list'} of {len(value)} values"
    else:
        content = f"an object of the class {type(value).__name__}"
    raise NetworkError(f"{name} returns {content}, where a tensor of logits is needed; return the logits alone")


def _output(network: nn.Module, image: Shape) -> object:
    """Return the output of a network for an image of zeros; None if the network raises an exception."""
    try:
        with torch.no_grad():
            return network.eval()(torch.zeros(1, *image))
    except Exception:  # whatever the network's own code raises
        return None


class _Place(NamedTuple):
    """A point at which a graph can be cut."""

    end: int  # the number of nodes before it
    value: fx.Node  # the tensor that is passed across the cut
    name: str


class _StageSplitter:
    """A splitter of one traced network into stages."""

    def __init__(self, traced: TracedNetwork, values: Mapping[fx.Node, NodeValue], classes: int | None):
        self._traced, self._values = traced, values
        *self._nodes, output = traced.graph.nodes
        self._logits = self._logits_of(output, classes)
        self._varying = _varying(self._nodes)
        self._last = channels_last(traced.network, self._nodes, values)
        self._names = names(traced)

    def split(self, image: Shape) -> SplitNetwork:
        """Return the network as stages, with its card, for images of a shape (channels, height, width)."""
        places = list(self._places())
        staged = self._staged(places)
        _protect_inputs(staged, image)
        affine_tops, same_as = self._affine_tops(places, staged), self._same_cuts(places, staged)
        cuts = [
            Cut(
                place.name,
                position,
                self._depths[place.end - 1],
                self._shape(place.value),
                self._flops(place.end),
                affine_top=place.name in affine_tops,
                same_as=same_as.get(place.name, ""),
            )
            for position, place in enumerate(places, 1)
        ]
        parameters = sum(weights.numel() for weights in staged.parameters())
        trainable = any(weights.requires_grad for weights in staged.parameters())
        layout = NetworkLayout(tuple(cuts), self._flops(len(self._nodes)), parameters, trainable)
        return SplitNetwork(staged, layout, self._traced.untraceable)

    def _logits_of(self, output: fx.Node, classes: int | None) -> fx.Node:
        value, name = output.args[0], type(self._traced.network).__name__
        shape = self._values[value].shape if isinstance(value, fx.Node) else None
        if not isinstance(value, fx.Node) or shape is None:
            raise NetworkError(f"{name} must return one row of logits for each image, as a floating-point tensor")
        if len(shape) != 1:
            end = " end its forward with .flatten(1)" if set(shape[1:]) == {1} else " pool or flatten the map first"
            raise NetworkError(
                f"{name} returns {format_shape(shape)} for each image, where one row of logits is needed;{end}"
            )
        if classes not in (None, shape[0]):
            raise NetworkError(
                f"{name} has {shape[0]} outputs, and the data set has {classes} classes or groups of labels; give its "
                "last layer as many outputs (a callable gets this number if it has a parameter num_classes)"
            )
        return value

    def _places(self) -> Iterator[_Place]:
        """Yield every cut in order; of consecutive cuts with equal tensors, only the first."""
        previous: _Place | None = None
        for end, value in self._carriers():
            name = self._names[value]
            if previous and self._same(previous.value, value):
                shorter = name.count(".") < previous.name.count(".")
                previous = previous._replace(name=name if shorter else previous.name)
                continue
            if previous:
                yield previous
            previous = _Place(end, value, name)
        if previous:
            yield previous

    def _carriers(self) -> Iterator[tuple[int, fx.Node]]:
        """Yield the tensors at which the graph can be cut, each with the number of nodes before the cut.

        A graph can be cut after a node where all later nodes depend on the images through a single tensor.
        """
        place = {node: i for i, node in enumerate(self._nodes)}
        end = len(self._nodes)
        last_use = {
            node: max((place.get(user, end) for user in node.users), default=-1)
            for node in self._nodes
            if node in self._varying and self._values[node].number is None
        }
        needed: set[fx.Node] = set()
        carrier: fx.Node | None = None
        for i, node in enumerate(self._nodes):
            needed = {other for other in (*needed, node) if last_use.get(other, -1) > i}
            if len(needed) == 1 and carrier not in needed:
                (carrier,) = needed
                inner = carrier.op != "placeholder" and carrier is not self._logits
                if inner and self._values[carrier].shape is not None:
                    yield i + 1, carrier

    def _same(self, before: fx.Node, node: fx.Node) -> bool:
        """Return whether a node's tensor equals the tensor `before` in eval mode, in the layout that stitchers see."""
        if list(node.all_input_nodes) != [before]:
            return False
        network = self._traced.network
        if moves(network, node):
            return (before in self._last) != (node in self._last) and self._shape(before) == self._shape(node)
        if node.op != "call_module":
            return (node.op, node.target) == ("call_method", "contiguous")
        module = network.get_submodule(str(node.target))
        return isinstance(module, _IDLE) or type(module).__name__ in _IDLE_ELSEWHERE

    def _affine_tops(self, places: Sequence[_Place], staged: Staged) -> set[str]:
        """Return the names of the cuts after which all layers are affine, by the graph and on random activations."""
        affine: set[str] = set()
        for end, value, name in reversed(places):
            nodes = self._nodes[end:]
            by_graph = is_affine_in(self._traced, self._values, self._varying, nodes, value, self._logits)
            if not by_graph or not is_affine(top(staged, name), self._shape(value), logits=True):
                break
            affine.add(name)
        return affine

    def _same_cuts(self, places: Sequence[_Place], staged: Staged) -> dict[str, str]:
        """Return, for each cut that differs from earlier ones only in places, the name of the earliest."""
        same_as: dict[str, str] = {}
        for before, place in pairwise(places):
            stage = stages(staged)[place.name]
            # A stage with weights changes channels: no need to run it.
            if not any(True for _ in stage.parameters()) and keeps_channels(stage, self._shape(before.value)):
                same_as[place.name] = same_as.get(before.name, before.name)
        return same_as

    def _shape(self, node: fx.Node) -> Shape:
        """Return the shape of a node's tensor as stitchers see it: a map has its channels first."""
        shape = self._values[node].shape
        assert shape is not None
        return (shape[2], shape[0], shape[1]) if node in self._last else shape

    def _flops(self, end: int) -> int:
        return self._values[self._nodes[end - 1]].flops

    @cached_property
    def _depths(self) -> Sequence[float]:
        """The share of the network's layers that have run after each node.

        A layer is a weight matrix in use: that of a convolution, a linear map or a projection of an attention.
        """
        used: set[str] = set()
        counts = []
        for node in self._nodes:
            if node in self._varying:
                used |= set(_matrices(self._traced.network, node))
            counts.append(len(used))
        return [count / max(len(used), 1) for count in counts]

    def _staged(self, places: Sequence[_Place]) -> Staged:
        stages: dict[str, nn.Module] = {}
        start, entry = 0, self._nodes[0]  # the images
        for end, value, name in (*places, _Place(len(self._nodes), self._logits, self._names[self._logits])):
            stages[name] = self._stage(self._nodes[start:end], entry, value)
            start, entry = end, value
        staged = Staged(stages)
        staged.training = False
        return staged

    def _stage(self, nodes: Sequence[fx.Node], entry: fx.Node, leave: fx.Node) -> fx.GraphModule:
        """Return the nodes between two cuts as a module, which takes and returns maps with their channels first."""
        graph = fx.Graph()
        images = x = graph.placeholder("x")
        if entry in self._last:
            x = graph.call_method("permute", (x, 0, 2, 3, 1))
        copies = {entry: x}

        def get(node: fx.Node) -> fx.Node | int | float:
            """Return a node's copy in this stage; a value that doesn't depend on the images is computed again."""
            if node in copies:
                return copies[node]
            if node in self._varying:
                return self._number(graph, images, node)
            copies[node] = graph.node_copy(node, get)  # type: ignore[arg-type]
            return copies[node]

        for node in nodes:
            if node in self._varying and node is not entry:
                copies[node] = graph.node_copy(node, get)  # type: ignore[arg-type]
        result = copies[leave]
        graph.output(graph.call_method("permute", (result, 0, 3, 1, 2)) if leave in self._last else result)
        return fx.GraphModule(self._traced.network, graph)

    def _number(self, graph: fx.Graph, stage_input: fx.Node, node: fx.Node) -> fx.Node | int | float:
        """Return a number computed in an earlier stage: a constant, or a constant times the size of the batch."""
        value = self._values[node]
        assert value.number is not None, f"{node} is not carried"
        if not value.per_image:
            return value.number
        images = graph.call_method("size", (stage_input, 0))
        return graph.call_function(mul, (images, value.number))


def _varying(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Return the nodes that depend on the images."""
    varying: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or any(other in varying for other in node.all_input_nodes):
            varying.add(node)
    return varying


def _matrices(network: nn.Module, node: fx.Node) -> Iterator[str]:
    """Yield the names of the weight matrices that a node uses."""
    if node.op == "call_module":
        path = str(node.target)
        named = ((f"{path}.{name}", weights) for name, weights in network.get_submodule(path).named_parameters())
    else:
        targets = (str(other.target) for other in node.all_input_nodes if other.op == "get_attr")
        named = ((target, _attribute(network, target)) for target in targets)
    for name, weights in named:
        if name.endswith("weight") and weights.dim() > 1:
            yield name


def _attribute(network: nn.Module, path: str) -> torch.Tensor:
    holder, _, name = path.rpartition(".")
    return getattr(network.get_submodule(holder), name)


@torch.no_grad()
def _protect_inputs(staged: Staged, image: Shape) -> None:
    """Make every stage that changes its input in place work on a copy, so that the tensor at a cut stays intact."""
    x = torch.zeros(1, *image)
    for stage in staged.stages.values():
        before = x._version  # torch's count of in-place changes, including those through views
        result = stage(x)
        if x._version != before and isinstance(stage, fx.GraphModule):
            _copy_first(stage)
        x = result


def _copy_first(stage: fx.GraphModule) -> None:
    stage_input = next(iter(stage.graph.nodes))
    with stage.graph.inserting_after(stage_input):
        clone = stage.graph.call_method("clone", (stage_input,))
    stage_input.replace_all_uses_with(clone, delete_user_cb=lambda user: user is not clone)
    stage.recompile()
