"""Points of the learning curves of models and stitches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a learning curve: loss in nats, error in percent (None if it was not measured)."""

    step: int
    split: str  # "train", "stop"
    loss: float
    error: float | None
