"""A driver that is to run on a cluster: its files, its command and its environment, and the cluster's answers.

`Cluster` declares what the ways to a cluster have in common: Ray's job server (`ray_jobs.py`) and Ray's `exec` over SSH
(`ray_exec.py`).
"""

import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from sweeper.errors import SweeperError, UsageError

from .bundle import Bundle, is_sent

STOPPED = 130  # the exit code of a driver that was stopped, as of one that was interrupted
RUNS = "runs"  # the parent folder of stores without a path of their own


@dataclass(frozen=True, slots=True)
class Submission:
    """A driver that is to run on a cluster."""

    name: str  # by which the cluster and the user refer to it
    bundle: Bundle
    command: str  # of a shell in the folder of the bundle
    environment: Mapping[str, str]
    store: str


@dataclass(frozen=True, slots=True)
class DriverState:
    """The state of a driver on a cluster."""

    ended: bool
    exit_code: int = 0
    message: str = ""  # why it ended, in the cluster's words, if it didn't end by itself


class ConnectionLostError(SweeperError):
    """A cluster that doesn't answer at the moment; its driver goes on."""


class Cluster(Protocol):
    """A way to a cluster. Every method raises ConnectionLostError if the cluster doesn't answer."""

    address: str  # as the user gives it

    def check(self) -> None:
        """Check that the cluster can be used and refuses requests without its token.

        Raises:
            SetupError: It can't, or it doesn't.
        """
        ...

    def start(self, submission: Submission) -> None:
        """Send the files of a driver, and start it. A second call for the same submission changes nothing."""
        ...

    def log(self, name: str, position: int) -> Iterator[str]:
        """Yield the log of a driver from a position (a number of characters) until the driver ends."""
        ...

    def state(self, name: str) -> DriverState:
        """Return the state of a driver."""
        ...

    def stop(self, name: str) -> None:
        """Ask a driver to stop; finished tasks are kept."""
        ...


def prepare(
    bundle: Bundle,
    overrides: Sequence[str],
    store: str | None,
    environment: Mapping[str, str],
    options: Sequence[str] = (),
) -> Submission:
    """Return the submission of a job.

    Args:
        bundle: The job and its files.
        overrides: Settings that replace those in the job's file.
        store: The option `--store`.
        environment: Environment variables of the driver and of its workers.
        options: Options of `sweeper run`, such as `--trust`.

    Raises:
        UsageError: The store would be a folder of the cluster's head that nobody sees.
    """
    url = store or bundle.sweep.store or f"{RUNS}/{bundle.sweep.name}"
    if "://" not in url and (is_sent(url) or not PurePosixPath(url).is_absolute()):
        raise UsageError(
            f"the store {url} is a folder of this machine; give one that every node of the cluster can write: a bucket "
            "(--store s3://BUCKET/NAME) or the absolute path of a shared folder (--store /shared/NAME)"
        )
    command = ["python", "-m", "sweeper", "run", bundle.job, *overrides, "--store", url]
    if not any(override.startswith("engine.address=") for override in overrides):
        command += ["engine.address=auto"]
    command += options
    name = f"sweeper-{bundle.sweep.name}-{secrets.token_hex(3)}"
    return Submission(name, bundle, f"exec {shlex.join(command)}", environment, url)
