"""`Finding`: a mistake in a job, with its location."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.spec.job.source import Keys


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a job: its location, a description and a correction.

    `needs` names the settings that the finding depends on; if one of them is a mistake itself, this finding is not
    reported. `of_key` is True if the key is wrong, not its value. `shift` is the number of characters between the start
    of the value and the mistake.
    """

    keys: Keys
    problem: str
    correction: str = ""
    needs: tuple[Keys, ...] = ()
    of_key: bool = False
    shift: int = 0


def way_to(keys: Keys, values: Sequence[object], i: int) -> Keys:
    """Return the keys that lead to one value of an axis; an axis of one value may be written as a scalar."""
    return (*keys, i) if len(values) > 1 else keys
