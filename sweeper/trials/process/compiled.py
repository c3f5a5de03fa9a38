"""A network's forward pass in training, compiled: its layers as fused kernels (torch.compile), gradients included."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweeper.errors import SweeperError
from sweeper.trials.process.numerics import current_numerics


def compile_forward(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """What computes `network(images)` in training steps: the network itself or, where that was asked for, compiled.

    Compiled anew for each run and for the shapes that it sees alone, so that no result depends on what the process
    compiled before; kernels that torch has on disk are taken from there. Weights stay the network's own. Calling it
    raises SweeperError where the network, or this machine, can't be compiled for.
    """
    settings = current_numerics()
    if not (settings and settings.compile):
        return network
    from torch._dynamo.exc import TorchDynamoException  # more than a second: not where nothing is compiled

    torch.compiler.reset()
    forward = torch.compile(network, fullgraph=True, dynamic=False)

    def run(images: Tensor) -> Tensor:
        try:
            return forward(images)
        except TorchDynamoException as error:
            what = str(error).strip().partition("\n")[0]
            where = f"engine.compile: torch can't compile this network for {settings.device}"
            raise SweeperError(f"{where} ({what}); false will do") from error

    return run
