"""How a device is asked to compute: in which precision, whether the same pack gives the same bits again, and whether
training steps are compiled.

Float32 is float32: a GPU's convolutions round to TF32's 10 bits where nobody says otherwise (torch's default). In
bfloat16 (8 bits) run the steps that train models and stitchers, with A's forward pass for them, by torch's autocast:
weights, optimizers and losses stay float32. Nothing that a row reports as found is computed so: closed forms, looks at
held-out images, test scores, activations that are kept and measures are float32 or float64 on every device.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import torch

from sweeper.errors import SweeperError

PRECISIONS = ("auto", "float32", "bfloat16")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Numerics:
    """`bfloat16`: of steps; `deterministic`: slower kernels where a faster one adds in an order of chance; `compile`:
    what trains models (`compiled.py`)."""

    device: torch.device
    bfloat16: bool = False
    deterministic: bool = True
    compile: bool = False

    @property
    def ordered(self) -> bool:
        """Whether torch is to be told to add in one order: a CPU's single thread has no other, and the first time it is
        told costs more than a second (torch 2.14 then imports its compiler)."""
        return self.deterministic and (self.device.type != "cpu" or torch.get_num_threads() > 1)

    @property
    def precision(self) -> str:
        """Of the steps, as rows name it."""
        return "bfloat16" if self.bfloat16 else "float32"


_now: ContextVar[Numerics | None] = ContextVar("numerics", default=None)


def chosen(device: torch.device, precision: str, deterministic: bool, compile: bool = False) -> Numerics:
    """What `precision` means on a device: "auto" is bfloat16 where a GPU has it in hardware, else float32.

    Raises SweeperError for bfloat16 on a CPU, where it is emulated, ninety times slower than float32 on one without
    AMX or AVX512-BF16, and on a GPU that has none.
    """
    has = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not has:
        raise SweeperError(f"precision: {device} has no bfloat16 in hardware; float32 or auto will do")
    return Numerics(device, has and precision != "float32", deterministic, compile)


def now() -> Numerics | None:
    """What is being computed with; None outside a pack."""
    return _now.get()


def steps() -> AbstractContextManager[object]:
    """Around the forward pass of a training step: in bfloat16, where that was chosen."""
    numerics = now()
    return torch.autocast(numerics.device.type, torch.bfloat16) if numerics and numerics.bfloat16 else nullcontext()


def precision() -> str:
    """Of the steps of what is running."""
    numerics = now()
    return numerics.precision if numerics else "float32"


def within(numerics: Numerics, work: Iterable[T]) -> Generator[T]:
    """What `work` yields, each item computed with these settings, which hold at no other time."""
    left: Iterator[T] = iter(work)
    while True:
        with applied(numerics):
            try:
                found = next(left)
            except StopIteration:
                return
        yield found


@contextmanager
def applied(numerics: Numerics) -> Iterator[None]:
    """Has torch compute so, and puts back what was."""
    # cuBLAS reads it as it makes its first workspace, so it must stand before this process's first product on a GPU.
    if numerics.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    backends, token = torch.backends, _now.set(numerics)
    was = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined] (torch sets it so itself)
        backends.cudnn.deterministic,
        backends.cudnn.benchmark,
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
    )
    try:
        # A network from elsewhere may hold an operation that has no such kernel: torch then warns, once an operation.
        _set(numerics.ordered, True, False, numerics.deterministic, False, False, False)
        yield
    finally:
        _set(*was)
        _now.reset(token)


def _set(
    deterministic: bool, warn: bool, fill: bool, cudnn: bool, benchmark: bool, tf32: bool, matmul_tf32: bool
) -> None:
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
    backends = torch.backends
    backends.cudnn.deterministic, backends.cudnn.benchmark = cudnn, benchmark
    backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32 = tf32, matmul_tf32
