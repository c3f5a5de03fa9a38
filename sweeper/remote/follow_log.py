"""The log of a driver on a cluster, followed over connections that may be lost."""

import time
from collections.abc import Callable

from .submission import Cluster, ConnectionLostError, DriverState

PATIENCE = 600.0  # seconds without an answer after which following ends
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0


def follow_log(
    cluster: Cluster, name: str, write: Callable[[str], None], say: Callable[[str], None], patience: float = PATIENCE
) -> DriverState:
    """Write the log of a driver until the driver ends, and return its last state.

    If the connection is lost, it is made again and the log goes on where it stopped.

    Args:
        cluster: The cluster.
        name: The name of the driver.
        write: Called with each new piece of the log.
        say: Called with a message when the connection is lost, and when it is back.
        patience: How long to try again, in seconds.

    Raises:
        ConnectionLostError: The cluster hasn't answered for so long; the driver goes on.
        SetupError: The cluster has no such driver.
    """
    position, lost_at, pause = 0, 0.0, FIRST_PAUSE
    while True:
        try:
            for text in cluster.log(name, position):
                write(text)
                position += len(text)
                if lost_at:
                    say("connected again")
                lost_at, pause = 0.0, FIRST_PAUSE
            return cluster.state(name)
        except ConnectionLostError as error:
            now = time.monotonic()
            if not lost_at:
                lost_at = now
                say(f"{error}; the driver goes on, and the connection is tried again")
            if now - lost_at > patience:
                raise
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
