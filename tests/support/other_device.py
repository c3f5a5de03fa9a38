"""A device that isn't the CPU, on the CPU: what a GPU would refuse is refused, and every number comes out.

Tensors "elsewhere" say that their device is `meta`, and hold theirs in a CPU tensor within. As on a GPU, an operation
on tensors of both places raises, unless it is a copy or the CPU's is a single number; so does an index from the CPU,
which a GPU would take and wait for. `.numpy()` raises, as a tensor of `meta` does.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

DEVICE = torch.device("meta")
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default}


class Elsewhere(Tensor):
    """Holds its values in `within`."""

    within: Tensor

    @staticmethod
    def __new__(cls, within: Tensor) -> "Elsewhere":
        made = Tensor._make_wrapper_subclass(
            cls,
            within.shape,
            strides=within.stride(),
            storage_offset=within.storage_offset(),
            dtype=within.dtype,
            layout=within.layout,
            device=DEVICE,
        )
        made.within = within
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.within})"

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["within"], None

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Runs an operation where its tensors, or the device that it names, say."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, Elsewhere)]
    if there and func not in COPIES and (strangers := [x for x in tensors if x.device != DEVICE and x.ndim]):
        raise RuntimeError(f"{func}: tensors of two devices; on the CPU: {[tuple(x.shape) for x in strangers]}")
    device = kwargs.get("device")
    goes = there if device is None else device == DEVICE
    if func is aten.copy_.default:
        goes = isinstance(args[0], Elsewhere)
    inner_args, inner = tree_map_only(Elsewhere, lambda x: x.within, (args, kwargs))
    if device is not None:
        inner = inner | {"device": torch.device("cpu")}
    found = func(*inner_args, **inner)
    if goes:
        found = tree_map(lambda x: Elsewhere(x) if isinstance(x, Tensor) else x, found)
        return return_and_correct_aliasing(func, args, kwargs, found) if there else found
    return found


class _Dispatch(TorchDispatchMode):
    """Sees what is made out of nothing, or comes from the CPU; counts operations."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        self.seen[func._schema.name.removeprefix("aten::")] += 1
        return _run(func, args, kwargs or {})


class _Function(TorchFunctionMode):
    """Numbers written out become a tensor on the CPU first: torch gives one of `meta` no values."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") == DEVICE:
            return func(*args, **kwargs | {"device": "cpu"}).to(DEVICE)
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return torch.tensor(*args[1:], dtype=args[0].dtype).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[Counter[str]]:
    """Inside, `DEVICE` works. Gives the names of the operations that ran, with how often."""
    with (
        patch("torch.optim.sgd._device_dtype_check_for_fused", lambda *_, **__: None),
        _Function(),
        _Dispatch() as mode,
    ):
        yield mode.seen
