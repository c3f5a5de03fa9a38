"""`Finding`: a mistake in a job, with the keys that lead to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.spec.job.source import Keys


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a job: the keys that lead to it, the problem and a correction.

    `needs` names the settings that the finding depends on; if one of them is a mistake itself, this finding is not
    reported. `of_key` is True if the key is wrong and not its value. `shift` is the number of characters from the start
    of the value to the mistake.
    """

    keys: Keys
    problem: str
    correction: str = ""
    needs: tuple[Keys, ...] = ()
    of_key: bool = False
    shift: int = 0


def keys_to_value(keys: Keys, values: Sequence[object], i: int) -> Keys:
    """Return the keys that lead to the i-th value of an axis.

    An axis of one value may be written as a scalar, so that the keys of the axis are those of the value.
    """
    return (*keys, i) if len(values) > 1 else keys
