"""Seconds of a step on this device by layout of the weights (channels first or last) and with `engine.compile`.

    python bench/device.py [--device cuda] [--widths 8,64] [--batch 128] [--steps 20] [--compile]

Figures are medians over a few steps of resnet18k on one batch of 32 x 32 images of noise (no data set is read), after
two steps that aren't counted, with the default settings of a pack (`engine.deterministic`; on a CPU one thread):

- a training step; a step of a stitch at block4 (conv1x1) in protocol strict and in paper, without A's forward pass;
- with weights in either layout; on a GPU that has bfloat16, in float32 and in bfloat16;
- eager and, on a GPU or with `--compile`, compiled. Of a stitch B's layers are compiled, which a sweep does not do. On
  a CPU this takes minutes.

The baseline is the eager step with channels first, in the same precision. The additional time of the first compiled
step is a separate figure (wall clock, no compiled code on disk; the first one also loads torch's compiler). Steps on a
CPU are measured in core-seconds, because other processes change them less than the wall clock time.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise, product
from statistics import median

import torch
from record import emit
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.nn import functional

from sweeper.errors import SweeperError
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.fold import fold, freeze
from sweeper.trials.process.builder import import_builder
from sweeper.trials.process.compiled import compile_forward
from sweeper.trials.process.memory_format import FIRST, LAST
from sweeper.trials.process.numerics import Numerics, apply_numerics, autocast_step, choose_numerics, current_numerics
from sweeper.trials.stitching import protocol_paper, protocol_strict
from sweeper.trials.stitching.stitched_network import StitchedNetwork

CUT = "block4"
LAYOUTS = {"channels first": FIRST, "channels last": LAST}
UNCOUNTED = 2  # first steps, which also allocate memory

Batch = tuple[Tensor, Tensor]
StepCallback = Callable[[], None]  # to be called before each step
Kind = Callable[[nn.Module, Batch, int, StepCallback], None]  # takes the given number of steps


def training(network: nn.Module, batch: Batch, count: int, before_step: StepCallback) -> None:
    """Take training steps, the same as in `trials/training/train.py`."""
    forward = compile_forward(network.train())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    for _ in range(count):
        before_step()
        optimizer.zero_grad(set_to_none=True)
        with autocast_step():
            logits = forward(batch[0]).float()
        functional.cross_entropy(logits, batch[1]).backward()
        optimizer.step()


def stitching(protocol: str) -> Kind:
    """Return a function that takes steps of a stitcher from a network into itself, without held-out evaluations."""

    def run(network: nn.Module, batch: Batch, count: int, before_step: StepCallback) -> None:
        whole = fold(network) if protocol == "strict" else freeze(network)
        layers = top(whole, CUT) if protocol == "strict" else protocol_paper.copy_with_own_batch_stats(top(whole, CUT))
        with torch.no_grad():
            bottom_activation = bottom(whole, CUT)(batch[0])

        def next_batch(_: int) -> tuple[dict[str, Tensor], Tensor]:
            before_step()
            return {CUT: bottom_activation}, batch[1]

        shape = tuple(bottom_activation.shape[1:])
        stitcher = import_builder(STITCHERS["conv1x1"].builder)(shape, shape, {}).to(bottom_activation.device)
        stitched = StitchedNetwork("bench", CUT, stitcher, _compiled(layers), count, 1e-3, may_stop=False)
        for _ in (
            protocol_strict.train([stitched], next_batch, (), len(batch[1]))
            if protocol == "strict"
            else protocol_paper.train([stitched], next_batch)
        ):
            pass
        if stitched.error:
            raise stitched.error

    return run


def _compiled(module: nn.Module) -> nn.Module:
    """Return a module, compiled with the options of `compile_forward` if the current settings have `compile`."""
    settings = current_numerics()
    if not (settings and settings.compile):
        return module
    torch.compiler.reset()
    return torch.compile(module, fullgraph=True, dynamic=False)  # type: ignore[return-value]


KINDS: dict[str, Kind] = {
    "a training step": training,
    "a strict step": stitching("strict"),
    "a paper step": stitching("paper"),
}


def timed(kind: Kind, network: nn.Module, batch: Batch, count: int) -> tuple[float, float]:
    """Return the median seconds of a step and the additional seconds of the first."""
    device, wall_times, step_times = batch[0].device, [], []
    clock = time.process_time if device.type == "cpu" else time.perf_counter

    def before_step() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        wall_times.append(time.perf_counter())
        step_times.append(clock())

    kind(network, batch, UNCOUNTED + count, before_step)
    before_step()
    step = median(after - before for before, after in list(pairwise(step_times))[UNCOUNTED:])
    return step, wall_times[1] - wall_times[0] - step


def measure(device: torch.device, width: int, size: int, count: int, compilers: tuple[bool, ...]) -> None:
    """Emit all figures at a width."""
    torch.manual_seed(0)
    batch = torch.randn(size, 3, 32, 32).to(device), torch.randint(10, (size,)).to(device)
    bfloat16 = choose_numerics(device, "auto", True).bfloat16
    for in_bfloat16, (kind_name, kind) in product((False, True) if bfloat16 else (False,), KINDS.items()):
        name = f"device, {kind_name} of resnet18k at width {width} on {device.type}" + (
            ", bfloat16" if in_bfloat16 else ""
        )
        baseline: float | None = None
        for compiling, (layout_name, layout) in product(compilers, LAYOUTS.items()):
            network = build("resnet18k", {"width": width}, (3, 32, 32), 10, seed=0)
            network = network.to(device).to(memory_format=layout)
            with apply_numerics(Numerics(device, in_bfloat16, compile=compiling)):
                step, first = timed(kind, network, batch, count)
            baseline = baseline or step
            figure_name = f"{name}: {layout_name}, {'compiled' if compiling else 'eager'}"
            emit(figure_name, 1000 * step, "ms", 1000 * baseline, baseline / step)
            if compiling:
                emit(f"{figure_name}, its first step longer by", first, "s")


def main() -> None:
    """Measure every width of the command line on its device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="torch's name of it")
    parser.add_argument("--widths", help="base widths of resnet18k (default: 8,64 on a GPU, 8 on a CPU)")
    parser.add_argument("--batch", type=int, default=128, help="images per step")
    parser.add_argument("--steps", type=int, help="the number of counted steps (default: 20 on a GPU, 5 on a CPU)")
    parser.add_argument("--compile", action="store_true", help="measure compiled steps on a CPU as well")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    gpu = device.type != "cpu"
    torch.set_num_threads(1)
    if not (gpu or arguments.compile):
        print("device: compiled steps are left out on a CPU; --compile measures them", file=sys.stderr)
    with tempfile.TemporaryDirectory() as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        for width in map(int, (arguments.widths or ("8,64" if gpu else "8")).split(",")):
            compilers = (False, True) if gpu or arguments.compile else (False,)
            try:
                measure(device, width, arguments.batch, arguments.steps or (20 if gpu else 5), compilers)
            except (SweeperError, TorchDynamoException) as error:
                sys.exit(f"device: compiled steps can't be measured here: {error}")


if __name__ == "__main__":
    main()
