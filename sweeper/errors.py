"""The tree of errors.

A `SweeperError` is something the user can act on: its text says what is wrong, where, and what would be
right, and the command line prints it without a traceback. Everything else that escapes is a defect of ours.
Each class carries the exit code that the command line ends with.
"""

from dataclasses import dataclass


class SweeperError(Exception):
    """Anything that a user can put right; `exit_code` is what the command line ends with."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a job: where it stands, what is wrong, what would be right.

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
    """A job that can't be run as it stands: carries every mistake found, not only the first."""

    exit_code = 2

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = mistakes
        super().__init__("\n".join(map(str, mistakes)))


class UsageError(SweeperError):
    """A command called with arguments that don't fit together."""

    exit_code = 2


class StoreError(SweeperError):
    """A store that isn't there, can't be read, or is not a store."""


class StoreBusy(StoreError):  # noqa: N818 (a state, which reads badly as StoreBusyError)
    """Another driver holds the store's lease."""

    exit_code = 4


class QueryError(SweeperError):
    """An SQL query that DuckDB refused; the text carries the nearest right name where there is one."""


class DataError(SweeperError):
    """A data set that isn't there, can't be decoded, or isn't what the job says it is."""


class NetworkError(SweeperError):
    """A network from elsewhere that can't be had, traced or cut."""
