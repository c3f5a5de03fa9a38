"""A stopwatch that leaves out the time in which this machine was too busy, so that tests can hold bounds of seconds.

Linux counts the time in which at least one process was ready to run but had to wait for a processor ("pressure"). What
a bound of seconds is about can't be told in that time, so it does not count. On a machine with nothing else to do,
hardly any time is left out; on one that is always busy, a bound says little, but never fails for the wrong reason.
"""

import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")  # "some avg10=0.00 avg60=0.00 avg300=0.00 total=<microseconds>", then "full ..."


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start, self._busy_at_start = time.monotonic(), _busy_seconds()

    @property
    def seconds(self) -> float:
        """Seconds of wall clock time."""
        return time.monotonic() - self._start

    @property
    def busy_seconds(self) -> float:
        """Seconds of wall clock time in which a process of the machine waited for a processor."""
        return _busy_seconds() - self._busy_at_start

    @property
    def free_seconds(self) -> float:
        """Seconds of wall clock time in which no process of the machine waited for a processor."""
        return max(0.0, self.seconds - self.busy_seconds)


def _busy_seconds() -> float:
    """Return the seconds since the start of the machine in which a process waited; 0 if the system does not count."""
    if not PRESSURE.exists():
        return 0.0
    return int(PRESSURE.read_text().split("total=")[1].split()[0]) / 1e6
