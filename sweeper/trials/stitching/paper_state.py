"""The state of stitches that train under the protocol `paper`, between two steps.

A's running averages belong to all stitches of the group; each stitch has the weights that train, their optimizer, and
the running averages of its copy of B's layers. B's weights themselves don't change unless they train.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import (
    buffer_tensors,
    module_tensors,
    optimizer_tensors,
    restore_optimizer,
    restore_tensors,
)
from sweeper.trials.stitching.stitch_state import STEP, STITCHES, record_state, restore_record
from sweeper.trials.stitching.stitched_network import StitchedNetwork

A, RECORD = "a", "record"  # the names of parts


class PaperState:
    """The state that the steps of a group change: their number, A's running averages, and each unfinished stitch."""

    def __init__(self, a: nn.Module | None, optimizers: Mapping[StitchedNetwork, torch.optim.Optimizer]):
        """Prepare for the first step.

        Args:
            a: The bottom model in train mode; None if it is not to be saved.
            optimizers: The optimizer of each stitched network that trains.
        """
        self.steps = 0
        self.optimizers = optimizers
        self.losses: dict[StitchedNetwork, list[Tensor]] = {stitched: [] for stitched in optimizers}
        self.unfinished = list(optimizers)
        self._a = a

    def state(self) -> ComputationState:
        """Return the present state."""
        parts = {stitched.id: self._state_of(stitched) for stitched in self.unfinished}
        averages = ComputationState(buffer_tensors(A, self._a) if self._a else {}, {})
        return ComputationState.of_parts(
            {A: averages, STITCHES: ComputationState.of_parts(parts)}, **{STEP: self.steps}
        )

    def restore(self, state: ComputationState) -> None:
        """Go on from a state of the same stitches.

        Raises:
            StateError: It doesn't fit; the group must then be built anew.
        """
        self.steps = state.value(STEP, int)
        if self._a:
            restore_tensors(buffer_tensors(A, self._a), state.part(A).tensors)()
        for stitched in self.unfinished:
            part = state.part(STITCHES).part(stitched.id)
            restore_tensors(_changing(stitched), part.tensors)()
            restore_optimizer("optimizer", self.optimizers[stitched], part.tensors)()
            self.losses[stitched] = restore_record(stitched, part.part(RECORD))

    def _state_of(self, stitched: StitchedNetwork) -> ComputationState:
        tensors = _changing(stitched) | optimizer_tensors("optimizer", self.optimizers[stitched])
        record = ComputationState.of_parts({RECORD: record_state(stitched, self.losses[stitched])})
        return ComputationState({**tensors, **record.tensors}, record.values)


def _changing(stitched: StitchedNetwork) -> dict[str, Tensor]:
    """Return the weights that train, and the running averages of B's layers."""
    top = module_tensors if stitched.trains_top else buffer_tensors
    return module_tensors("stitcher", stitched.stitcher) | top("top", stitched.top)
