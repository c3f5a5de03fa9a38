"""What each value of a graph is on images of one size: its shape or number, and the operations up to there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sweeper.spec.cards.card import Shape
from sweeper.trials.external.trace import Traced

IMAGES = 2  # of the larger batch; the smaller has one


@dataclass(frozen=True)
class Observed:
    """What running a graph showed of one node."""

    shape: Shape | None  # of a floating-point tensor for one image; None: not a tensor of one entry an image
    number: int | float | None  # for one image, where the value is a number
    per_image: bool  # the number grows with the batch; otherwise it is the same for any
    flops: int  # of one image, up to and including this node


def observe(traced: Traced, image: Shape) -> dict[fx.Node, Observed]:
    """Runs a graph on one image and on two, and tells what depends on the batch. Raises what the network raises."""
    with counted_in_full():
        one, flops = _values(traced, torch.zeros(1, *image))
    two, _ = _values(traced, torch.zeros(IMAGES, *image))
    return {node: Observed(*_compare(one.get(node), two.get(node)), flops[node]) for node in flops}


@contextmanager
def counted_in_full() -> Iterator[None]:
    """Attention as the matrix products that it is: torch's counter doesn't know the fused kernels of a CPU."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _values(traced: Traced, images: Tensor) -> tuple[dict[fx.Node, Any], dict[fx.Node, int]]:
    """Sizes of the tensors, and the numbers, of a pass; the operations up to each node."""
    watch = _Watch(traced)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        watch.counter = counter
        watch.run(images)
    return watch.seen, watch.flops


class _Watch(fx.Interpreter):
    counter: FlopCounterMode

    def __init__(self, traced: Traced):
        super().__init__(traced.network, graph=traced.graph)
        self.seen: dict[fx.Node, Any] = {}
        self.flops: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.is_floating_point():
            self.seen[n] = value.shape
        elif isinstance(value, int | float):
            self.seen[n] = value
        self.flops[n] = self.counter.get_total_flops()
        return value


def _compare(one: Any, two: Any) -> tuple[Shape | None, int | float | None, bool]:
    """Shape, number and whether the number grows with the batch, from a value on one image and on two."""
    if isinstance(one, torch.Size) and isinstance(two, torch.Size):
        whole = one[:1] == (1,) and two == (IMAGES, *one[1:]) and len(one) in (2, 3, 4)
        return (tuple(one[1:]) if whole else None), None, False
    if isinstance(one, int | float) and isinstance(two, int | float):
        if type(one) is int and two == IMAGES * one and one:
            return None, one, True
        if one == two:
            return None, one, False
    return None, None, False
