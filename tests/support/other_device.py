"""A simulated second device on the CPU: it computes real values, and refuses what a GPU would refuse.

A tensor on this device reports the device `meta` and holds its values in an inner CPU tensor. As on a GPU, an operation
on tensors of both devices raises, unless it is a copy or the CPU tensor is a single number. Indexing with a CPU tensor
raises, too: a GPU accepts it, but waits for the transfer. `.numpy()` raises, as for any tensor of `meta`.
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


class SimulatedDeviceTensor(Tensor):
    """A tensor that reports the device `meta` and holds its values in the CPU tensor `cpu_tensor`."""

    cpu_tensor: Tensor

    @staticmethod
    def __new__(cls, cpu_tensor: Tensor) -> "SimulatedDeviceTensor":
        """Return a wrapper of a CPU tensor, with the same shape, strides and type."""
        wrapper = Tensor._make_wrapper_subclass(
            cls,
            cpu_tensor.shape,
            strides=cpu_tensor.stride(),
            storage_offset=cpu_tensor.storage_offset(),
            dtype=cpu_tensor.dtype,
            layout=cpu_tensor.layout,
            device=DEVICE,
        )
        wrapper.cpu_tensor = cpu_tensor
        return wrapper

    def __repr__(self) -> str:  # type: ignore[override]
        return f"SimulatedDeviceTensor({self.cpu_tensor})"

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["cpu_tensor"], None

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the device of its tensors or, if it has a `device` argument, on that device."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    wrapped = [x for x in tensors if isinstance(x, SimulatedDeviceTensor)]
    if wrapped and func not in COPIES and (cpu_tensors := [x for x in tensors if x.device != DEVICE and x.ndim]):
        raise RuntimeError(f"{func}: tensors of two devices; on the CPU: {[tuple(x.shape) for x in cpu_tensors]}")
    device = kwargs.get("device")
    is_wrapped = bool(wrapped) if device is None else device == DEVICE
    if func is aten.copy_.default:
        is_wrapped = isinstance(args[0], SimulatedDeviceTensor)
    inner_args, inner_kwargs = tree_map_only(SimulatedDeviceTensor, lambda x: x.cpu_tensor, (args, kwargs))
    if device is not None:
        inner_kwargs = inner_kwargs | {"device": torch.device("cpu")}
    result = func(*inner_args, **inner_kwargs)
    if is_wrapped:
        result = tree_map(lambda x: SimulatedDeviceTensor(x) if isinstance(x, Tensor) else x, result)
        return return_and_correct_aliasing(func, args, kwargs, result) if wrapped else result
    return result


class _Dispatch(TorchDispatchMode):
    """A mode that also runs the operations without any wrapped tensor, such as factories, and counts all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operation_counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        self.operation_counts[func._schema.name.removeprefix("aten::")] += 1
        return _run(func, args, kwargs or {})


class _Function(TorchFunctionMode):
    """A mode that creates tensors from Python numbers on the CPU first, as torch gives tensors of `meta` no values."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") == DEVICE:
            return func(*args, **kwargs | {"device": "cpu"}).to(DEVICE)
        if func is Tensor.new_tensor and isinstance(args[0], SimulatedDeviceTensor):
            return torch.tensor(*args[1:], dtype=args[0].dtype).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def simulated_device() -> Iterator[Counter[str]]:
    """Make `DEVICE` usable within the context; yield a counter of the names of the operations that ran."""
    with (
        patch("torch.optim.sgd._device_dtype_check_for_fused", lambda *_, **__: None),
        _Function(),
        _Dispatch() as mode,
    ):
        yield mode.operation_counts
