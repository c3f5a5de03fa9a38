"""The learning rate of a strict stitch: phases of steps, in each of which the rate falls to 0 along a cosine.

A single rate suits no set of cuts. Near the input, a stitcher needs long steps to come to the minimum; near the output,
long steps on few images move it from a good start into a fit of these images alone. So the first phase begins at a low
rate, and each later phase begins at the best weights so far, at another rate. At its end, the loss on held-out images
is measured at the weights it came to and at those halfway from its start (`best_weights`), because on few images the
direction of a phase is often right and its length too large. A phase at a rate that doesn't suit costs its steps and
nothing else.
"""

from dataclasses import dataclass
from itertools import cycle, islice
from math import cos, pi

from sweeper.spec.cards.protocols import PHASE_STEPS

PEAKS = (0.25, 1.0, 0.5)  # the rate at the start of each phase, as a share of the stitch's `lr`; then they repeat


@dataclass(frozen=True, slots=True)
class RatePhases:
    """The phases of a stitch: `ends` are the numbers of steps after which they end, `peaks` their first rates."""

    ends: tuple[int, ...]
    peaks: tuple[float, ...]

    @classmethod
    def of(cls, steps: int) -> "RatePhases":
        """Return phases of equal length, at least `PHASE_STEPS` steps; if there are fewer, one phase at the full rate.

        Args:
            steps: The largest number of steps of the stitch, at least 1.
        """
        count = max(1, steps // PHASE_STEPS)
        peaks = tuple(islice(cycle(PEAKS), count)) if count > 1 else (1.0,)
        return cls(tuple(round(steps * (index + 1) / count) for index in range(count)), peaks)

    @property
    def starts(self) -> tuple[int, ...]:
        """The numbers of steps after which the phases start."""
        return (0, *self.ends[:-1])

    @property
    def measured(self) -> frozenset[int]:
        """The numbers of steps after which the held-out loss is measured: at the start, and when a phase ends."""
        return frozenset({0, *self.ends})

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0, as a share of the stitch's `lr`."""
        index = next(index for index, end in enumerate(self.ends) if step < end)
        start, end = self.starts[index], self.ends[index]
        return self.peaks[index] * (1 + cos(pi * (step - start) / (end - start))) / 2
