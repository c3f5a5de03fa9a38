"""Checks of the settings that a job gives to a card: their names and values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sweeper.errors import did_you_mean
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.card import Option
from sweeper.spec.job import ranges
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.family import Family
from sweeper.spec.job.section import Scalar
from sweeper.spec.job.validate import plain_number, quote_value


def unfit_setting_findings(
    keys: Keys,
    values_by_setting: Mapping[str, Sequence[Scalar]],
    declared: Mapping[str, Option],
    card_name: str,
    other_keys: Iterable[str] = (),
) -> Iterator[Finding]:
    """Yield the mistakes in the settings that a job gives to a card.

    Args:
        keys: The keys that lead to the settings.
        values_by_setting: Values by setting, as the job gives them.
        declared: The card's settings.
        card_name: The name of the card, for messages.
        other_keys: The other keys allowed next to the settings, for suggestions.
    """
    for name, values in values_by_setting.items():
        if name not in declared:
            correction = did_you_mean(name, [*declared, *other_keys])
            correction = correction or f"its settings are {', '.join(declared) or 'none'}"
            yield Finding((*keys, name), f"{card_name} has no setting '{name}'", correction, of_key=True)
            continue
        for i, value in enumerate(values):
            if correction := _requirement(value, declared[name]):
                yield Finding(
                    keys_to_value((*keys, name), values, i), f"{quote_value(value)} is not allowed", correction
                )
    for name, option in declared.items():
        if option.default is None and name not in values_by_setting:
            yield Finding(keys, f"{card_name} needs a setting '{name}'", option.meaning)


def has_allowed_settings(arch: str, family: Family) -> bool:
    """Return True if an architecture is built in and allows the settings of the family."""
    return arch in ARCHS and not list(unfit_setting_findings((), family.options, ARCHS[arch].options, arch))


def _requirement(value: Scalar, option: Option) -> str:
    """Return a message about what the value of a setting must be; "" if the value is allowed."""
    whole_float = option.type is float and type(value) is int
    if type(value) is not option.type and not whole_float:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        if option.type is int and isinstance(value, str) and (correction := ranges.correction(value)):
            return correction
        return f"it must be {words[option.type]}: {option.meaning}"
    if option.choices and value not in option.choices:
        choices = [str(choice) for choice in option.choices]
        return did_you_mean(str(value), choices) or f"it must be one of {', '.join(choices)}"
    if option.least is not None and isinstance(value, int | float) and value < option.least:
        return f"it must be at least {plain_number(option.least)}"
    if option.most is not None and isinstance(value, int | float) and value > option.most:
        return f"it must be at most {plain_number(option.most)}"
    return ""
