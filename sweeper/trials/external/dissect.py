"""Cuts of a traced network, and the network as stages between them.

A cut is a tensor that every path from the images to the logits passes through: once it is there, nothing that came
before is needed again. Values that don't depend on the images (weights, a table of positions) are on neither side;
each stage makes those that it needs. Nor do numbers count, such as the size of the batch: a stage reads it off its
input, and the others are the same for every batch of images of one size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn.modules.dropout import _DropoutNd

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Cut, Network, Shape
from sweeper.spec.cards.shapes import show
from sweeper.trials.archs.staged import Staged
from sweeper.trials.external.layout import channels_last, moves
from sweeper.trials.external.names import names
from sweeper.trials.external.observe import Observed, observe
from sweeper.trials.external.trace import Traced, reason, trace

# Layers that leave a tensor as it is in eval mode: a cut after one is the cut before it. Beside torch's own, those of
# torchvision and timm, by the names of their classes.
_IDLE = (nn.Identity, _DropoutNd)
_IDLE_ELSEWHERE = ("StochasticDepth", "DropPath")


@dataclass(frozen=True)
class Dissected:
    """A network as stages in a row, in eval mode, sharing the weights of the network that it was made of."""

    staged: Staged
    card: Network
    whole: Mapping[str, str]  # submodules that could not be traced, and why: no cut lies inside


def dissect(network: nn.Module, image: Shape) -> Dissected:
    """Traces a network and cuts it wherever it can be cut. Puts it in eval mode.

    Raises NetworkError where it can't be traced, can't take images of this shape, or returns something else than one
    vector an image.
    """
    traced = trace(network, image)
    try:
        seen = observe(traced, image)
    except Exception as error:  # whatever the network raises
        raise NetworkError(f"{type(network).__name__} can't take images of {show(image)}: {reason(error)}") from error
    return _Knife(traced, seen).dissected(image)


class _Place(NamedTuple):
    """Where a graph falls in two."""

    end: int  # how many nodes lie before it
    value: fx.Node  # what is carried across
    name: str


class _Knife:
    """Cuts one traced network."""

    def __init__(self, traced: Traced, seen: Mapping[fx.Node, Observed]):
        self._traced, self._seen = traced, seen
        *self._nodes, output = traced.graph.nodes
        self._logits = self._logits_of(output)
        self._varying = _varying(self._nodes)
        self._last = channels_last(traced.network, self._nodes, seen)
        self._names = names(traced)

    def dissected(self, image: Shape) -> Dissected:
        places = list(self._places())
        staged = self._staged(places)
        _guard(staged, image)
        cuts = [
            Cut(place.name, position, self._depths[place.end - 1], self._shape(place.value), self._flops(place.end))
            for position, place in enumerate(places, 1)
        ]
        parameters = sum(weights.numel() for weights in staged.parameters())
        return Dissected(staged, Network(tuple(cuts), self._flops(len(self._nodes)), parameters), self._traced.whole)

    def _logits_of(self, output: fx.Node) -> fx.Node:
        value = output.args[0]
        if not isinstance(value, fx.Node) or len(self._seen[value].shape or ()) != 1:
            name = type(self._traced.network).__name__
            raise NetworkError(f"{name} returns {value}; logits of the shape (images, classes) are needed")
        return value

    def _places(self) -> Iterator[_Place]:
        """Every cut, in order, each tensor once."""
        found: _Place | None = None
        for end, value in self._carriers():
            name = self._names[value]
            if found and self._same(found.value, value):
                shorter = name.count(".") < found.name.count(".")
                found = found._replace(name=name if shorter else found.name)
                continue
            if found:
                yield found
            found = _Place(end, value, name)
        if found:
            yield found

    def _carriers(self) -> Iterator[tuple[int, fx.Node]]:
        """Tensors that are, from some place on, all that is needed of what depends on the images; with that place."""
        place = {node: i for i, node in enumerate(self._nodes)}
        end = len(self._nodes)
        last_use = {
            node: max((place.get(user, end) for user in node.users), default=-1)
            for node in self._nodes
            if node in self._varying and self._seen[node].number is None
        }
        needed: set[fx.Node] = set()
        told: fx.Node | None = None
        for i, node in enumerate(self._nodes):
            needed = {other for other in (*needed, node) if last_use.get(other, -1) > i}
            if len(needed) == 1 and told not in needed:
                (told,) = needed
                if told.op != "placeholder" and told is not self._logits and self._seen[told].shape is not None:
                    yield i + 1, told

    def _same(self, before: fx.Node, node: fx.Node) -> bool:
        """Whether a tensor is the one of the cut before it, in eval mode, as stitchers see the two."""
        if list(node.all_input_nodes) != [before]:
            return False
        network = self._traced.network
        if moves(network, node):
            return (before in self._last) != (node in self._last) and self._shape(before) == self._shape(node)
        if node.op != "call_module":
            return (node.op, node.target) == ("call_method", "contiguous")
        module = network.get_submodule(str(node.target))
        return isinstance(module, _IDLE) or type(module).__name__ in _IDLE_ELSEWHERE

    def _shape(self, node: fx.Node) -> Shape:
        """As stitchers know it: of a map, the channels first."""
        shape = self._seen[node].shape
        assert shape is not None
        return (shape[2], shape[0], shape[1]) if node in self._last else shape

    def _flops(self, end: int) -> int:
        return self._seen[self._nodes[end - 1]].flops

    @cached_property
    def _depths(self) -> Sequence[float]:
        """After each node, the share of the network's layers that lie behind. A layer is a matrix of weights that is
        used: of a convolution, a linear map, a projection of an attention."""
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
        """The nodes between two cuts as a module of their own; a map goes in and out with its channels first."""
        graph = fx.Graph()
        given = x = graph.placeholder("x")
        if entry in self._last:
            x = graph.call_method("permute", (x, 0, 2, 3, 1))
        made = {entry: x}

        def get(node: fx.Node) -> fx.Node | int | float:
            """A node's counterpart in this stage; one that isn't carried into it is made again."""
            if node in made:
                return made[node]
            if node in self._varying:
                return self._number(graph, given, node)
            made[node] = graph.node_copy(node, get)  # type: ignore[arg-type]
            return made[node]

        for node in nodes:
            if node in self._varying and node is not entry:
                made[node] = graph.node_copy(node, get)  # type: ignore[arg-type]
        result = made[leave]
        graph.output(graph.call_method("permute", (result, 0, 3, 1, 2)) if leave in self._last else result)
        return fx.GraphModule(self._traced.network, graph)

    def _number(self, graph: fx.Graph, given: fx.Node, node: fx.Node) -> fx.Node | int | float:
        """A number of an earlier stage: it is the same for every batch, or so many for each of the images."""
        seen = self._seen[node]
        assert seen.number is not None, f"{node} is not carried"
        if not seen.per_image:
            return seen.number
        images = graph.call_method("size", (given, 0))
        return graph.call_function(mul, (images, seen.number))


def _varying(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes that depend on the images."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or any(other in found for other in node.all_input_nodes):
            found.add(node)
    return found


def _matrices(network: nn.Module, node: fx.Node) -> Iterator[str]:
    """The names of the weight matrices that a node uses."""
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
def _guard(staged: Staged, image: Shape) -> None:
    """Has every stage that changes its input in place work on a copy, so that the tensor at a cut stays what it was."""
    x = torch.zeros(1, *image)
    for stage in staged.stages.values():
        before = x._version  # counts changes, those through views too
        result = stage(x)
        if x._version != before and isinstance(stage, fx.GraphModule):
            _copy_first(stage)
        x = result


def _copy_first(stage: fx.GraphModule) -> None:
    given = next(iter(stage.graph.nodes))
    with stage.graph.inserting_after(given):
        copied = stage.graph.call_method("clone", (given,))
    given.replace_all_uses_with(copied, delete_user_cb=lambda user: user is not copied)
    stage.recompile()
