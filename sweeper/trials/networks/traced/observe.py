"""The values of a graph for images of one size: shape or number of each node, and the operations up to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sweeper.spec.cards.card import Shape
from sweeper.trials.networks.traced.trace import TracedNetwork

IMAGES = 2  # in the larger of the two batches; the smaller has one image


@dataclass(frozen=True)
class NodeValue:
    """The value of one node, as a run of the graph showed it."""

    shape: Shape | None  # of a floating-point tensor, without the axis of images; None: no such tensor
    number: int | float | None  # for one image, where the value is a number
    per_image: bool  # the number grows with the batch; otherwise it is the same for any
    flops: int  # of one image, up to and including this node


def observe(traced: TracedNetwork, image: Shape) -> dict[fx.Node, NodeValue]:
    """Run a graph on one image and on two, and return the value of each node.

    The two batches show which numbers grow with the batch. An exception of the network passes through.
    """
    with unfused_attention():
        values_of_one, flops = _values(traced, torch.zeros(1, *image))
    values_of_two, _ = _values(traced, torch.zeros(IMAGES, *image))
    return {node: NodeValue(*_compare(values_of_one.get(node), values_of_two.get(node)), flops[node]) for node in flops}


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Compute attention as matrix products, as torch's operation counter ignores the fused kernels of a CPU."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _values(traced: TracedNetwork, images: Tensor) -> tuple[dict[fx.Node, Any], dict[fx.Node, int]]:
    """Return the tensor sizes and the numbers of a pass, and the operations up to each node."""
    recorder = _Recorder(traced)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        recorder.counter = counter
        recorder.run(images)
    return recorder.values, recorder.flops


class _Recorder(fx.Interpreter):
    """An interpreter of a graph that records each node's value and the operations so far."""

    counter: FlopCounterMode

    def __init__(self, traced: TracedNetwork):
        super().__init__(traced.network, graph=traced.graph)
        self.values: dict[fx.Node, Any] = {}
        self.flops: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.is_floating_point():
            self.values[n] = value.shape
        elif isinstance(value, int | float):
            self.values[n] = value
        self.flops[n] = self.counter.get_total_flops()
        return value


def _compare(of_one: Any, of_two: Any) -> tuple[Shape | None, int | float | None, bool]:
    """Return shape, number, and whether the number grows with the batch, from the values for one image and for two."""
    if isinstance(of_one, torch.Size) and isinstance(of_two, torch.Size):
        is_activation = of_one[:1] == (1,) and of_two == (IMAGES, *of_one[1:]) and len(of_one) in (2, 3, 4)
        return (tuple(of_one[1:]) if is_activation else None), None, False
    if isinstance(of_one, int | float) and isinstance(of_two, int | float):
        if type(of_one) is int and of_two == IMAGES * of_one and of_one:
            return None, of_one, True
        if of_one == of_two:
            return None, of_one, False
    return None, None, False
