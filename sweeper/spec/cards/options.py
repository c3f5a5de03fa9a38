"""Completion of the options that a job gives with a card's defaults."""

from collections.abc import Mapping

from sweeper.errors import SweeperError
from sweeper.spec.cards.card import Option, OptionValues
from sweeper.spec.records.task import Options


def complete(declared: Mapping[str, Option], values: OptionValues, card_name: str) -> Options:
    """Return every option that a card declares, sorted: the given value or the default, in the declared type.

    The conversion to the declared type makes 16 and 16.0 one setting.

    Args:
        declared: The options of the card.
        values: The values in the job.
        card_name: The name of the card, for messages.

    Raises:
        SweeperError: If the card doesn't have an option, a required one is missing, or a value has another type.
    """
    if unknown := values.keys() - declared.keys():
        raise SweeperError(
            f"{card_name} has no option {', '.join(sorted(unknown))}; it has {', '.join(declared) or 'none'}"
        )
    return tuple((name, _typed(declared[name], values.get(name), f"{card_name}.{name}")) for name in sorted(declared))


def _typed(option: Option, given_value: bool | int | float | str | None, setting: str) -> bool | int | float | str:
    value = option.default if given_value is None else given_value
    if value is None:
        raise SweeperError(f"{setting} must be given: {option.meaning}")
    if type(value) is option.type:
        return value
    if {type(value), option.type} == {int, float} and option.type(value) == value:
        return option.type(value)
    raise SweeperError(f"{setting} is {value!r}; {option.type.__name__} is expected")
