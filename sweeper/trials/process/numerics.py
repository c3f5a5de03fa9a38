"""Numerical settings of a device: the precision, deterministic kernels, and compilation of training steps.

TF32, torch's default for a GPU's convolutions (10 bits of mantissa), is switched off: float32 means float32. bfloat16
(8 bits) is used, through torch's autocast, only in the steps that train models and stitchers and in the bottom's
forward pass of these steps; weights, optimizer states and losses stay float32. Everything that a row reports (closed
forms, held-out losses, test scores, cached activations, measures) is computed in float32 or float64 on every device.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import torch

from sweeper.errors import SweeperError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Numerics:
    """Numerical settings of a pack.

    Attributes:
        device: Where the pack is computed.
        bfloat16: True runs training steps in bfloat16.
        deterministic: True takes slower kernels than those whose order of summation varies from run to run.
        compile: True compiles the training of models (`compiled.py`).
    """

    device: torch.device
    bfloat16: bool = False
    deterministic: bool = True
    compile: bool = False

    @property
    def needs_deterministic_algorithms(self) -> bool:
        """True if torch must be set to deterministic algorithms.

        A single CPU thread is deterministic anyway, and the first call of that setter takes more than a second
        (torch 2.14 then imports its compiler).
        """
        return self.deterministic and (self.device.type != "cpu" or torch.get_num_threads() > 1)

    @property
    def precision(self) -> str:
        """The precision of training steps, by the name that result rows use."""
        return "bfloat16" if self.bfloat16 else "float32"


_current: ContextVar[Numerics | None] = ContextVar("numerics", default=None)


def choose_numerics(device: torch.device, precision: str, deterministic: bool, compile: bool = False) -> Numerics:
    """Return the numerical settings that a job's `precision` means on a device.

    Args:
        device: Where the pack is computed.
        precision: "float32", "bfloat16", or "auto": bfloat16 on a GPU that supports it in hardware, else float32.
        deterministic: As in `Numerics`.
        compile: As in `Numerics`.

    Raises:
        SweeperError: If bfloat16 is set for a GPU without it, or for a CPU, which emulates it: ninety times slower than
            float32 on a CPU without AMX and AVX512-BF16.
    """
    supported = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not supported:
        raise SweeperError(f"precision: {device} has no bfloat16 in hardware; choose float32 or auto")
    return Numerics(device, supported and precision != "float32", deterministic, compile)


def current_numerics() -> Numerics | None:
    """Return the settings of the pack that is running; None outside a pack."""
    return _current.get()


def autocast_step() -> AbstractContextManager[object]:
    """Return the context for the forward pass of a training step: autocast to bfloat16 where the settings say so."""
    numerics = current_numerics()
    return torch.autocast(numerics.device.type, torch.bfloat16) if numerics and numerics.bfloat16 else nullcontext()


def current_precision() -> str:
    """Return the precision of the running pack's training steps; "float32" outside a pack."""
    numerics = current_numerics()
    return numerics.precision if numerics else "float32"


def run_with_numerics(numerics: Numerics, work: Iterable[T]) -> Generator[T]:
    """Yield the items of `work`, each computed under these settings; between items the old settings are restored."""
    items: Iterator[T] = iter(work)
    while True:
        with apply_numerics(numerics):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


@contextmanager
def apply_numerics(numerics: Numerics) -> Iterator[None]:
    """Apply settings to torch, and restore the previous ones at the end of the context."""
    # cuBLAS reads this variable when it creates its first workspace, so it must be set before the first matrix product.
    if numerics.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    backends, token = torch.backends, _current.set(numerics)
    previous = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined] (torch sets it in the same way)
        backends.cudnn.deterministic,
        backends.cudnn.benchmark,
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
    )
    try:
        # Warn only: an external network may contain an operation without a deterministic kernel.
        _set(numerics.needs_deterministic_algorithms, True, False, numerics.deterministic, False, False, False)
        yield
    finally:
        _set(*previous)
        _current.reset(token)


def _set(
    deterministic: bool, warn: bool, fill: bool, cudnn: bool, benchmark: bool, tf32: bool, matmul_tf32: bool
) -> None:
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
    backends = torch.backends
    backends.cudnn.deterministic, backends.cudnn.benchmark = cudnn, benchmark
    backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32 = tf32, matmul_tf32
