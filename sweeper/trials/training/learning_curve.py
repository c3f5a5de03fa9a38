"""Points of the learning curves of models and stitches, and the mean losses that they show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


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
