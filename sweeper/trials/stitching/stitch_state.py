"""The parts of a stitched network that both protocols save: what its steps have counted and recorded so far."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sweeper.spec.records.saved_state import StateError
from sweeper.trials.process.saving import ComputationState
from sweeper.trials.stitching.stitched_network import StitchedNetwork
from sweeper.trials.training.learning_curve import from_values, to_values

STEP = "step"  # the value of a group's state: the steps that it has taken
STITCHES = "stitches"  # the part with a part for each stitch that goes on from the state
WEIGHTS = "weights"  # the value with the digest of B's weights, by the id of each stitch of the group


def record_state(stitched: StitchedNetwork, losses: list[Tensor]) -> ComputationState:
    """Return what a stitched network has recorded, and the losses that its curve has not shown yet."""
    values: dict[str, Any] = {
        "steps_taken": stitched.steps_taken,
        "converged": stitched.converged,
        "train_loss": stitched.train_loss,
        "curve": to_values(stitched.curve),
        "seconds": stitched.seconds,
    }
    return ComputationState({"losses": torch.stack(losses) if losses else torch.empty(0)}, values)


def restore_record(stitched: StitchedNetwork, state: ComputationState) -> list[Tensor]:
    """Set what a stitched network has recorded, and return the losses that its curve has not shown yet.

    Raises:
        StateError: A value is missing or of another kind.
    """
    stitched.steps_taken = state.value("steps_taken", int)
    stitched.converged = state.value("converged", bool)
    stitched.train_loss = state.value("train_loss", (float, type(None)))
    stitched.curve[:] = from_values(state.value("curve", list))
    stitched.seconds = state.value("seconds", float)
    device = next(stitched.trained_modules.parameters()).device
    return list(tensor(state.tensors, "losses").to(device).unbind())


def tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a tensor of a state.

    Raises:
        StateError: There is no such tensor.
    """
    if name not in tensors:
        raise StateError(f"its tensor {name} is missing")
    return tensors[name]
