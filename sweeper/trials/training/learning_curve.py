"""Points of the learning curves of models and stitches, and the mean losses that they show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sweeper.spec.records.saved_state import StateError


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a learning curve: loss in nats, error in percent (None if it was not measured)."""

    step: int
    split: str  # "train", "stop"
    loss: float
    error: float | None


def mean_loss(name: str, losses: Sequence[Tensor], last_step: int) -> float:
    """Return the mean of the losses of consecutive steps, read from the device at once.

    Args:
        name: The loss in a sentence, such as "the training loss".
        losses: Scalars.
        last_step: The number of the last of these steps, counted from 1.

    Raises:
        FloatingPointError: If a loss is not a finite number; the message names the first such step.
    """
    stacked = torch.stack(list(losses))
    mean = float(stacked.mean())
    if not math.isfinite(mean):
        values = stacked.tolist()
        steps = range(last_step - len(values) + 1, last_step + 1)
        for step, value in zip(steps, values, strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} is {value} at step {step}")
        raise FloatingPointError(f"the mean of {name} over steps {steps[0]} to {steps[-1]} is {mean}")
    return mean


class LearningCurve:
    """The curve of a training run, with a point every `every` steps: the mean over the steps since the last point."""

    def __init__(self, every: int):
        self._every = every
        self.step = 0  # the number of steps added
        self.points: list[Point] = []
        self._pending: list[tuple[Tensor, Tensor]] = []

    def add(self, loss: Tensor, error: Tensor) -> None:
        """Add the loss of a step's batch and its error as a share, both on the device."""
        self.step += 1
        self._pending.append((loss, error))
        if self.step % self._every == 0:
            self.points.append(self._point())
            self._pending.clear()

    def points_to_present(self) -> tuple[Point, ...]:
        """Return all points, the last at the present step.

        The curve is unchanged, so a model does not depend on which other models of the run are requested.
        """
        return (*self.points, self._point()) if self._pending else tuple(self.points)

    @property
    def pending(self) -> tuple[Tensor, Tensor]:
        """The losses and the errors of the steps since the last point, each as a vector."""
        if not self._pending:
            return torch.empty(0), torch.empty(0)
        losses, errors = zip(*self._pending, strict=True)
        return torch.stack(losses), torch.stack(errors)

    def restore(self, step: int, points: Sequence[Point], pending: tuple[Tensor, Tensor]) -> None:
        """Continue a curve that had these points and pending losses and errors after a number of steps."""
        self.step, self.points = step, list(points)
        self._pending = list(zip(*(values.unbind() for values in pending), strict=True))

    def _point(self) -> Point:
        """Return the mean over the pending steps, read from the device."""
        losses, errors = self.pending
        loss = mean_loss("the training loss", losses.unbind(), self.step)
        return Point(self.step, "train", loss, 100 * float(errors.mean()))


def to_values(points: Sequence[Point]) -> list[list[object]]:
    """Return points as JSON values for a saved state."""
    return [[point.step, point.split, point.loss, point.error] for point in points]


def from_values(values: Sequence[Sequence[Any]]) -> list[Point]:
    """Return the points from the result of `to_values`.

    Raises:
        StateError: The values are not points.
    """
    try:
        return [Point(*value) for value in values]
    except TypeError as error:
        raise StateError(f"its curve is not one ({error})") from None
