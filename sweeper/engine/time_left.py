"""The estimate of the seconds until the end of a run, and its spread.

Work is measured in the plan's estimated seconds, so that the order of long and short packs does not matter. The speed
is the work done by all workers in a second, so their number cancels out.

The spread follows from how much the speed has varied: the run so far is divided into blocks of equal length, and the
rest of the run is such blocks, too. The mean speed of the rest differs from that so far by the error of either mean.
The logarithm of the speed is taken as normal, which keeps both bounds positive. At the end of a run, workers wait for
the last packs, so the upper bound also has the seconds of the longest pack so far.
"""

import math
from bisect import bisect_right

BLOCKS = 8
T_90 = 1.895  # Student's t for a two-sided interval of 90 % with BLOCKS - 1 degrees of freedom
MOST_SAMPLES = 512


def estimate_left(remaining: float, finished: float, elapsed: float) -> float | None:
    """Return the estimated seconds until the end, if the speed stays the same; None if it is not known yet.

    Args:
        remaining: The work that is left, in estimated seconds.
        finished: The work that has been done, in estimated seconds.
        elapsed: The seconds that the finished work took.
    """
    if finished <= 0 or elapsed <= 0:
        return None
    return remaining * elapsed / finished


class Pace:
    """The work that was done by each time of a run, at a bounded number of times."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._finished: list[float] = []
        self._step = 0.0  # seconds between two samples; doubled when there are too many
        self._latest = 0.0  # the work done so far
        self._longest = 0.0  # seconds

    def record(self, elapsed: float, finished: float) -> None:
        """Record the work done by a time.

        Args:
            elapsed: Seconds since the first worker of the run began with its pack.
            finished: The work done since then, in estimated seconds.
        """
        self._latest = finished
        if self._times and elapsed < self._times[-1] + self._step:
            self._finished[-1] = finished
            return
        self._times.append(elapsed)
        self._finished.append(finished)
        if len(self._times) > MOST_SAMPLES:
            self._step = 2 * elapsed / MOST_SAMPLES
            self._times, self._finished = self._times[1::2], self._finished[1::2]

    def record_pack(self, seconds: float) -> None:
        """Record the duration of a pack that has ended."""
        self._longest = max(self._longest, seconds)

    def left_range(self, remaining: float, elapsed: float) -> tuple[float, float] | None:
        """Return the seconds between which the end lies in nine of ten cases; None if it is not known yet.

        Args:
            remaining: The work that is left, in estimated seconds.
            elapsed: Seconds since the first worker of the run began with its pack.
        """
        left = estimate_left(remaining, self._latest, elapsed)
        if not left or len(self._times) < BLOCKS:
            return None
        ends = [self._finished_by(elapsed * (block + 1) / BLOCKS) for block in range(BLOCKS)]
        done = [end - start for start, end in zip([0.0, *ends], ends, strict=False)]
        mean = sum(done) / BLOCKS
        variation = math.sqrt(sum((work - mean) ** 2 for work in done) / (BLOCKS - 1)) / mean
        blocks_left = left / (elapsed / BLOCKS)
        factor = math.exp(T_90 * variation * math.sqrt(1 / BLOCKS + 1 / max(1.0, blocks_left)))
        return left / factor, left * factor + self._longest

    def _finished_by(self, time: float) -> float:
        """Return the work done by a time."""
        number = bisect_right(self._times, time)
        return self._finished[number - 1] if number else 0.0
