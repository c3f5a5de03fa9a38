"""The graph of a network in eval mode: its operations in the order in which they run, and what carries what.

torch.fx runs the network once with stand-ins for tensors. Where its Python code branches on a size, the graph is run
up to there and the size is known; so a graph is one for images of one size. A submodule that branches on a tensor's
values, or can't be run so for another reason, is kept whole: a single operation of the graph. Only a network whose own
`forward` can't be run so has no graph. No network of docs/networks.md needs `torch.export`, whose graphs have lost
their modules and know only one mode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Shape


@dataclass(frozen=True)
class Traced:
    """A network's graph. Its nodes run in order; nodes name modules of `network` by their paths."""

    network: nn.Module
    graph: fx.Graph
    outputs: dict[fx.Node, list[str]]  # paths of the modules that return a node's value, the innermost first
    inside: dict[
        fx.Node, str
    ]  # the path of the innermost module in whose `forward` a node is; "" for the network's own
    whole: dict[str, str]  # submodules that were kept whole because they can't be traced: path and reason


def trace(network: nn.Module, image: Shape) -> Traced:
    """Traces a network as it runs on images of a shape in eval mode; puts it in eval mode.

    Raises NetworkError, naming the network's class, where its own `forward` can't be traced.
    """
    tracer = _Tracer(image)
    try:
        graph = tracer.trace(network.eval())
    except Exception as error:  # whatever the network's own code raises when stand-ins pass through it
        raise NetworkError(f"{type(network).__name__}.forward can't be traced: {reason(error)}") from error
    inside = {node: _innermost(node) for node in graph.nodes}
    return Traced(network, graph, tracer.outputs, inside, tracer.whole)


class _Tracer(fx.Tracer):
    """Keeps whole, beside torch's own layers, what behaves differently in train mode and what can't be traced."""

    def __init__(self, image: Shape) -> None:
        super().__init__(param_shapes_constant=True)
        self._image = image
        self._values: dict[fx.Node, Any] = {}  # of an image; filled where a branch asks
        self._running = False  # the graph itself: modules are then called as ever
        self.outputs: dict[fx.Node, list[str]] = {}
        self.whole: dict[str, str] = {}

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Images alone are given; whatever else `forward` takes keeps its default."""
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Decides a branch on sizes; one on the values of a tensor can't be decided for all images."""
        value = self._value(obj.node)
        return super().to_bool(obj) if isinstance(value, Tensor) else bool(value)

    @torch.no_grad()
    def _value(self, wanted: fx.Node) -> Any:
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
        return self._values[wanted]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A graph is of one mode: a layer that asks for it, and every norm with running averages, decides at each call.
        return isinstance(m, _NormBase) or _reads_its_mode(m) or super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, {})  # not the cache: what it holds may have been taken back

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
            self.whole = {name: why for name, why in self.whole.items() if not name.startswith(f"{path}.")}
            self.whole[path] = reason(error)
            result = self.create_proxy("call_module", path, args, kwargs)
        given = {value.node for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy)}
        if isinstance(result, fx.Proxy) and result.node not in given:
            self.outputs.setdefault(result.node, []).append(path)
        return result

    def _forget_after(self, last: fx.Node) -> None:
        """Takes back the operations that came after one."""
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
    """What an exception says in its first line, and its kind."""
    return f"{next(iter(str(error).splitlines()), '')} ({type(error).__name__})".strip()
