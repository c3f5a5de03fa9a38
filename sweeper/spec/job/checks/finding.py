"""What the checks of a job say, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.spec.job.source import Keys


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: the way to it, in words, and what would be right. `needs` are the settings that it was found
    from: where one of them is a mistake itself, this one says nothing. `of_key`: the key is wrong, not its value.
    `shift`: how many characters further on."""

    keys: Keys
    what: str
    right: str = ""
    needs: tuple[Keys, ...] = ()
    of_key: bool = False
    shift: int = 0


def way_to(keys: Keys, values: Sequence[object], i: int) -> Keys:
    """The way to one value of an axis; an axis of one may stand as a scalar."""
    return (*keys, i) if len(values) > 1 else keys
