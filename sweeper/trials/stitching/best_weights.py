"""The weights of a strict stitch with the lowest held-out loss, and whether its phases still improve it.

Each phase of steps is measured twice: at its last weights, and halfway between them and the weights at its start.

A phase improves a stitch if it lowers the lowest held-out loss by more than `MARGIN` of it and more than `LEAST_FALL`.
Training is over after `PATIENCE` phases in a row without improvement. A stitch has converged if its last phase did not
improve it, and was not its only one.
"""

import copy

import torch

from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import restore_tensors
from sweeper.trials.stitching.stitched_network import StitchedNetwork
from sweeper.trials.training.learning_curve import Point

PATIENCE = 2  # phases in a row without improvement after which training ends
MARGIN = 0.02  # the share by which a phase must lower the held-out loss to improve it
LEAST_FALL = 5e-3  # and the fall in nats: of losses near 0, shares are noise


class BestWeights:
    """The weights of a stitched network with the lowest held-out loss, and the phases that did not lower it."""

    def __init__(self, stitched: StitchedNetwork):
        self._stitched, self._modules = stitched, stitched.trained_modules
        self._weights = self._phase_start = copy.deepcopy(self._modules.state_dict())
        self.loss = self._loss_before_phase = float("inf")
        self.phases = self.phases_without_improvement = 0

    def measure(self, step: int, loss: float, error: float) -> None:
        """Add a held-out measurement to the learning curve; keep the weights if it is the lowest so far."""
        self._stitched.curve.append(Point(step, "stop", loss, error))
        if loss < self.loss:
            self.loss, self._weights = loss, copy.deepcopy(self._modules.state_dict())

    def begin_phase(self) -> None:
        """Set the network to the best weights, from which the next phase starts."""
        self._modules.load_state_dict(self._weights)
        self._phase_start = self._weights
        self._loss_before_phase = self.loss

    def go_halfway(self) -> None:
        """Set the network halfway between the weights at the start of the phase and its own."""
        with torch.no_grad():
            for name, value in self._modules.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(self._phase_start[name], 0.5)

    def end_phase(self) -> None:
        """Count the phase, and whether it improved the network."""
        fall = self._loss_before_phase - self.loss
        improved = fall > LEAST_FALL and fall > MARGIN * self._loss_before_phase
        self.phases += 1
        self.phases_without_improvement = 0 if improved else self.phases_without_improvement + 1

    def state(self) -> ComputationState:
        """Return the best weights, those at the start of the phase, and the losses and counts."""
        best = ComputationState(self._weights, {})
        phase_start = ComputationState(self._phase_start, {})
        return ComputationState.of_parts(
            {"best": best, "phase_start": phase_start},
            loss=self.loss,
            loss_before_phase=self._loss_before_phase,
            phases=self.phases,
            phases_without_improvement=self.phases_without_improvement,
        )

    def restore(self, state: ComputationState) -> None:
        """Go on from a state.

        Raises:
            StateError: It doesn't fit.
        """
        self._weights, self._phase_start = (copy.deepcopy(self._modules.state_dict()) for _ in range(2))
        restore_tensors(self._weights, state.part("best").tensors)()
        restore_tensors(self._phase_start, state.part("phase_start").tensors)()
        self.loss, self._loss_before_phase = state.value("loss", float), state.value("loss_before_phase", float)
        self.phases = state.value("phases", int)
        self.phases_without_improvement = state.value("phases_without_improvement", int)

    @property
    def over(self) -> bool:
        """True after `PATIENCE` phases in a row without improvement."""
        return self.phases_without_improvement >= PATIENCE

    def finish(self) -> None:
        """Set the network to the best weights, and whether it has converged."""
        self._modules.load_state_dict(self._weights)
        self._stitched.converged = self.phases > 1 and self.phases_without_improvement > 0
