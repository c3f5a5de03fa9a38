"""Compilation of a network's forward pass in training, and of its gradient, into fused kernels (torch.compile)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweeper.errors import SweeperError
from sweeper.trials.process.numerics import current_numerics


def compile_forward(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the function for `network(images)` in training steps, compiled if the pack's settings say so.

    The network is compiled again in each run and for the shapes of this run only, so that no result depends on what the
    process compiled before; torch reuses the kernels that it has stored on disk. The function uses the network's own
    weights.

    Returns:
        The compiled function, which raises SweeperError where torch can't compile the network on this machine; the
        network itself where the settings don't ask for compilation.
    """
    settings = current_numerics()
    if not (settings and settings.compile):
        return network
    from torch._dynamo.exc import TorchDynamoException  # deferred: the import takes more than a second

    torch.compiler.reset()
    forward = torch.compile(network, fullgraph=True, dynamic=False)

    def run(images: Tensor) -> Tensor:
        try:
            return forward(images)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            message = f"engine.compile: torch can't compile this network for {settings.device} ({reason})"
            raise SweeperError(f"{message}; set engine.compile to false") from error

    return run
