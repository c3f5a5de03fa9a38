"""The graph of a network in eval mode: its operations in the order in which they run, with their inputs.

torch.fx runs the network once with stand-ins for tensors. Where its Python code branches on a size, the graph is run
up to the branch to compute the size, so a graph is valid for images of one size. A submodule that branches on a
tensor's values, or can't be traced for another reason, is kept whole, as a single operation of the graph. Only a
network whose own `forward` can't be traced has no graph. No network of docs/networks.md needs `torch.export`, whose
graphs contain no modules and are fixed to train mode or to eval mode.
"""

import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Shape

_PACKAGE = Path(__file__).parents[3]


@dataclass(frozen=True)
class TracedNetwork:
    """A network with its graph, whose nodes run in order and name modules of `network` by their paths."""

    network: nn.Module
    graph: fx.Graph
    outputs: dict[fx.Node, list[str]]  # paths of the modules that return a node's value, the innermost first
    enclosing_module: dict[fx.Node, str]  # path of the innermost module whose `forward` runs a node; "": the network
    untraceable: dict[str, str]  # the reason by path of the submodules that are one operation, as they can't be traced


def trace(network: nn.Module, image: Shape) -> TracedNetwork:
    """Trace a network in eval mode for images of a shape. Puts the network in eval mode.

    Args:
        network: The network to trace.
        image: The shape of an image (channels, height, width).

    Raises:
        NetworkError: If the network's own `forward` can't be traced; the message names the network's class.
    """
    tracer = _Tracer(image)
    try:
        graph = tracer.trace(network.eval())
    except Exception as error:  # whatever the network's own code raises when stand-ins pass through it
        problem = f"{type(network).__name__}.forward can't be traced: {reason(error)}{users_place(error)}"
        raise NetworkError(problem) from error
    enclosing_module = {node: _innermost(node) for node in graph.nodes}
    return TracedNetwork(network, graph, tracer.outputs, enclosing_module, tracer.untraceable)


class _Tracer(fx.Tracer):
    """A tracer for which torch's layers, modules that depend on the mode, and untraceable modules are one operation."""

    def __init__(self, image: Shape) -> None:
        super().__init__(param_shapes_constant=True)
        self._image = image
        self._values: dict[fx.Node, Any] = {}  # for one image; computed when a branch needs them
        self._running = False  # whether the graph is being run, not traced: modules are then called directly
        self.outputs: dict[fx.Node, list[str]] = {}
        self.untraceable: dict[str, str] = {}

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Return the arguments of `forward`: the images; the other parameters keep their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Decide a branch on sizes; leave one on tensor values to torch.fx, which refuses it."""
        value = self._value(obj.node)
        return super().to_bool(obj) if isinstance(value, Tensor) else bool(value)

    @torch.no_grad()
    def _value(self, target: fx.Node) -> Any:
        runner = fx.Interpreter(self.root, garbage_collect_values=False, graph=self.graph)
        runner.env = self._values
        self._running = True
        try:
            for node in self.graph.nodes:
                if node not in self._values:
                    image = node.op == "placeholder"
                    self._values[node] = torch.zeros(1, *self._image) if image else runner.run_node(node)
        finally:
            self._running = False
        return self._values[target]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A graph is traced in one mode, so a layer that reads `training`, and every norm with running averages, is kept
        # whole: it then reads the mode at each call.
        return isinstance(m, _NormBase) or _reads_its_mode(m) or super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, {})  # an empty cache: cached nodes may have been erased

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        last = next(iter(reversed(self.graph.nodes)))
        scope, stack, calls = self.scope, self.module_stack.copy(), self.num_calls.copy()
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception as error:  # whatever the module's code raises when stand-ins pass through it
            self._forget_after(last)
            self.scope, self.module_stack, self.num_calls = scope, stack, calls
            self.untraceable = {name: why for name, why in self.untraceable.items() if not name.startswith(f"{path}.")}
            self.untraceable[path] = reason(error)
            result = self.create_proxy("call_module", path, args, kwargs)
        argument_nodes = {value.node for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy)}
        if isinstance(result, fx.Proxy) and result.node not in argument_nodes:
            self.outputs.setdefault(result.node, []).append(path)
        return result

    def _forget_after(self, last: fx.Node) -> None:
        """Erase the operations after a node from the graph."""
        for node in list(reversed(self.graph.nodes)):
            if node is last:
                return
            self.outputs.pop(node, None)
            self._values.pop(node, None)
            self.graph.erase_node(node)


def _reads_its_mode(module: nn.Module) -> bool:
    code = getattr(getattr(type(module), "forward", None), "__code__", None)
    return code is not None and "training" in code.co_names


def _innermost(node: fx.Node) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return stack[-1][0] if stack else ""


def reason(error: Exception) -> str:
    """Return the first line of an exception's message, with its type."""
    return f"{next(iter(str(error).splitlines()), '')} ({type(error).__name__})".strip()


def users_place(error: Exception) -> str:
    """Return the last line of the user's own code that an exception came through, as " at FILE:LINE"; "" if none."""
    others = {*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), str(_PACKAGE)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith("<") and not any(map(Path(frame.filename).is_relative_to, others)):
            return f" at {frame.filename}:{frame.lineno}"
    return ""
