"""Completion of the options that a job gives with a card's defaults."""

from collections.abc import Mapping

from sweeper.errors import SweeperError
from sweeper.spec.cards.card import Option, OptionValues
from sweeper.spec.records.task import Options


def complete(declared: Mapping[str, Option], given: OptionValues, whose: str) -> Options:
    """Return every option that a card declares, sorted: the given value or the default, in the declared type.

    The conversion to the declared type makes 16 and 16.0 one setting.

    Args:
        declared: the options of the card.
        given: the values in the job.
        whose: the name of the card, for messages.

    Raises:
        SweeperError: if the card doesn't have an option, a required one is missing, or a value has another type.
    """
    if unknown := given.keys() - declared.keys():
        raise SweeperError(
            f"{whose} has no option {', '.join(sorted(unknown))}; it has {', '.join(declared) or 'none'}"
        )
    return tuple((name, _typed(declared[name], given.get(name), f"{whose}.{name}")) for name in sorted(declared))


def _typed(option: Option, given: bool | int | float | str | None, what: str) -> bool | int | float | str:
    value = option.default if given is None else given
    if value is None:
        raise SweeperError(f"{what} must be given: {option.meaning}")
    if type(value) is option.type:
        return value
    if {type(value), option.type} == {int, float} and option.type(value) == value:
        return option.type(value)
    raise SweeperError(f"{what} is {value!r}; {option.type.__name__} is expected")
