"""Settings of a card, with those that a job leaves out."""

from collections.abc import Mapping

from sweeper.errors import SweeperError
from sweeper.spec.task import Options

from .card import Option, OptionValues


def complete(declared: Mapping[str, Option], given: OptionValues, whose: str) -> Options:
    """Every option that a card declares, sorted: the value given or the default, in the declared type, so that 16 and
    16.0 are one setting.

    Raises SweeperError for an option that the card doesn't have, one that must be given, or a value of another type.
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
