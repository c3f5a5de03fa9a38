"""The state of a training run between two steps, for saving it and for going on from it.

Batches, crops and views are functions of the seed and the step, so the number of steps is all of the stream's state.
"""

import torch
from torch import nn

from sweeper.spec.records.saved_state import StateError
from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import (
    module_tensors,
    optimizer_tensors,
    restore_module,
    restore_optimizer,
)
from sweeper.trials.training.learning_curve import LearningCurve, from_values, to_values

STEP, CURVE = "step", "curve"  # the values of a state
MODULE, OPTIMIZER, LOSSES, ERRORS = "module", "optimizer", "losses", "errors"  # its tensors


class RunState:
    """The parts of a training run that its steps change."""

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, curve: LearningCurve, device: torch.device):
        self._module, self._optimizer, self._curve, self._device = module, optimizer, curve, device

    def state(self) -> ComputationState:
        """Return the state after the steps that the curve has."""
        losses, errors = self._curve.pending
        tensors = module_tensors(MODULE, self._module) | optimizer_tensors(OPTIMIZER, self._optimizer)
        values = {STEP: self._curve.step, CURVE: to_values(self._curve.points)}
        return ComputationState(tensors | {LOSSES: losses, ERRORS: errors}, values)

    def restore(self, state: ComputationState) -> None:
        """Go on from a state.

        Raises:
            StateError: It does not fit; nothing has been changed then.
        """
        set_module = restore_module(MODULE, self._module, state.tensors)
        set_optimizer = restore_optimizer(OPTIMIZER, self._optimizer, state.tensors)
        step, points = state.value(STEP, int), from_values(state.value(CURVE, list))
        try:
            pending = state.tensors[LOSSES].to(self._device), state.tensors[ERRORS].to(self._device)
        except KeyError as error:
            raise StateError(f"its tensor {error} is missing") from None
        set_module()
        set_optimizer()
        self._curve.restore(step, points, pending)


def usable_steps(state: ComputationState, before: int) -> int:
    """Return the steps of a state; -1 if it has passed `before`, the step of the first model that is wanted."""
    step = state.values.get(STEP)
    return step if isinstance(step, int) and step < before else -1
