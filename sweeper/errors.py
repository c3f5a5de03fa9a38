"""The exceptions of Sweeper.

A `SweeperError` is an error that the user can fix: its text says what is wrong, where, and what would be right, and the
command line prints it without a traceback. Any other exception that reaches the command line is a bug in Sweeper.
Each class has the exit code that the command line ends with.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class SweeperError(Exception):
    """An error that the user can fix; the command line ends with its `exit_code`."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a job: its place, what is wrong, and what would be right.

    `line` and `column` count from 1; both are 0 where the mistake has no place in a file (an override on
    the command line, the Python API).
    """

    what: str
    key: str = ""
    right: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column} " if self.line else f"{self.file} " if self.file else ""
        key = f"{self.key}: " if self.key else ""
        right = f"; {self.right}" if self.right else ""
        return f"{place}{key}{self.what}{right}"


class JobError(SweeperError):
    """A job that can't be run; `mistakes` lists all of its mistakes."""

    exit_code = 2

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = mistakes
        super().__init__("\n".join(map(str, mistakes)))


class UsageError(SweeperError):
    """A command called with arguments that don't fit together."""

    exit_code = 2


class StoreError(SweeperError):
    """A store that doesn't exist or can't be read, or a folder that isn't a store."""


class StoreBusy(StoreError):  # noqa: N818 (a state, which reads badly as StoreBusyError)
    """A store in use: another driver holds its lease."""

    exit_code = 4


class QueryError(SweeperError):
    """An SQL query that DuckDB refused; the text suggests the closest existing name, if any."""


class DataError(SweeperError):
    """A data set that doesn't exist, can't be decoded, or differs from its description in the job."""


class NetworkError(SweeperError):
    """An external network that can't be built, traced or cut."""


def did_you_mean(wrong: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return the question "did you mean 'x'?" with the closest known name; "" if none is close.

    Close is a similarity of 0.6 or more, as `difflib.get_close_matches` measures it.

    Args:
        wrong: The name that the user wrote, without `prefix`.
        known: The names that would be right.
        prefix: What the message writes before the name, such as "torchvision:".
    """
    closest = get_close_matches(wrong, list(known), n=1)
    return f"did you mean '{prefix}{closest[0]}'?" if closest else ""
