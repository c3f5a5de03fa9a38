"""The exceptions of Sweeper.

A `SweeperError` is an error that the user can fix: its text says what is wrong, where, and what would be right, and the
command line prints it without a traceback. An exception of other software about the machine
(`sweeper/cli/translate.py`) is printed likewise; any other that reaches the command line is a defect of Sweeper.
Each class has the exit code that the command line ends with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class SweeperError(Exception):
    """An error that the user can fix; the command line ends with its `exit_code`."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a job: its place, the problem, and a correction if one is known.

    `line` and `column` count from 1. Both are 0 if the mistake is not in a file but in an override on the command line
    or in a job made in Python.
    """

    problem: str
    key: str = ""
    correction: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column} " if self.line else f"{self.file} " if self.file else ""
        key = f"{self.key}: " if self.key else ""
        correction = f"; {self.correction}" if self.correction else ""
        return f"{place}{key}{self.problem}{correction}"


class JobError(SweeperError):
    """A job that can't be run; `mistakes` lists all of its mistakes."""

    exit_code = 2

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = mistakes
        super().__init__("\n".join(map(str, mistakes)))


class UsageError(SweeperError):
    """A command called with arguments that don't fit together."""

    exit_code = 2


class SetupError(SweeperError):
    """Something that a command needs and this machine lacks: a writable folder, a cluster at an address, a library."""

    exit_code = 2


class ClusterLostError(SweeperError):
    """The loss of the Ray that a run uses; what was finished is in the store."""


class StoreError(SweeperError):
    """A store that doesn't exist or can't be read, or a folder that isn't a store."""


class UnreadableFileError(StoreError):
    """A file of a store that its disk can't read, or something else in its place: a named pipe, a loop of links."""


class PartChangedError(StoreError):
    """A part that another process moved away, or that was damaged, after it was checked; `path` is its path."""

    def __init__(self, message: str, path: str):
        self.path = path
        super().__init__(message)


class PartsMissingError(StoreError):
    """A version of a store whose rows can't all be read any more; `names` has the kinds and digests of lost parts."""

    def __init__(self, names: Sequence[str]):
        self.names = frozenset(names)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        super().__init__(
            f"the store lacks {len(names)} of the parts of this version ({', '.join(names[:3])}{more}), so its numbers "
            "can't be given again; damaged ones lie in `damaged/`, and `sweeper merge` takes sound ones from a copy of "
            "the store"
        )


class WeightsError(StoreError):
    """Weights that a store lacks, or has only damaged; the next run trains their model again."""


class StorePlaceError(StoreError):
    """A path or URL that has no store or can't hold one: a file, an unwritable folder, a bucket that doesn't answer."""

    exit_code = 2


class StoreUnreachableError(StorePlaceError):
    """A store that doesn't answer now but may later: no connection, an overloaded server, expired credentials."""

    exit_code = 1


class StoreBusy(StoreError):  # noqa: N818 (it is a state of the store rather than an error)
    """A store in use: another driver holds its lease."""

    exit_code = 4


class QueryError(SweeperError):
    """An SQL query that DuckDB refused; the text suggests the closest existing name, if any."""

    exit_code = 2


class QueryFailedError(QueryError):
    """An SQL query that failed while it ran: the query is wrong, or it read a part that can't be read."""


class DataError(SweeperError):
    """A data set that doesn't exist, can't be decoded, or differs from its description in the job."""


class NetworkError(SweeperError):
    """An external network that can't be built, traced or cut; `network` is its name in the job, if known."""

    exit_code = 2

    def __init__(self, problem: str, network: str = ""):
        self.network = network
        super().__init__(problem)


def did_you_mean(wrong: str, names: Iterable[str], *, prefix: str = "") -> str:
    """Return the question "did you mean 'x'?" with the closest of some names; "" if none is close.

    A name is close if its similarity, as computed by `difflib.get_close_matches`, is 0.6 or more.

    Args:
        wrong: The name that the user wrote, without `prefix`.
        names: The names that exist.
        prefix: Text before the name in the message, such as "torchvision:".
    """
    closest = get_close_matches(wrong, list(names), n=1)
    return f"did you mean '{prefix}{closest[0]}'?" if closest else ""


def show_in_full(error: Exception) -> None:
    """Let an error of a task end the command with its traceback, so that a debugger stops where it was raised."""
    error.__dict__["is_shown_in_full"] = True


def is_shown_in_full(error: Exception) -> bool:
    """Return True if `show_in_full` was called for an error."""
    return error.__dict__.get("is_shown_in_full", False)
