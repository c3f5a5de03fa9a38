"""The base class of a job's sections, and the types of their values: axes, numbers, names.

Every setting that may be a list is an axis; a scalar is an axis of one value.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from sweeper.spec.job.ranges import expand_range


def as_tuple(value: object) -> object:
    """Return the values of an axis; a range such as `0..9` stands for its whole numbers, both ends included."""
    return tuple(
        item for part in (value if isinstance(value, list | tuple) else (value,)) for item in expand_range(part)
    )


def _as_groups(value: object) -> object:
    """Wrap a single group: `zip: [samples, steps]` is one group, `[[samples, steps], [seed, lr]]` are two."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return (value,)
    return value


def _as_labels(value: object) -> object:
    """Wrap a single grouping: `[[0, 1], [2, 3]]` is one, `[classes, [[0, 1], [2, 3]]]` is an axis of two."""
    if isinstance(value, list | tuple) and value and all(_is_flat(group) for group in value):
        return (tuple(map(as_tuple, value)),)
    return as_tuple(value)


def _is_flat(value: object) -> bool:
    return isinstance(value, list | tuple) and not any(isinstance(item, list | tuple) for item in value)


def _as_sets(value: object) -> object:
    """Wrap a single set of cuts: `conv1` and `[conv1, 2]` are one set, `[[], [conv1, 2]]` is an axis of two."""
    if not isinstance(value, list | tuple) or _is_flat(value):
        return (as_tuple(value),)
    return tuple(map(as_tuple, value))


def collect_options(settings: object, fields: Collection[str]) -> object:
    """Move the settings of a card, which a job writes beside the declared fields, into `options`."""
    if not isinstance(settings, Mapping):
        return settings
    card_settings = {name: value for name, value in settings.items() if name not in fields}
    if not card_settings:
        return settings
    declared = {name: value for name, value in settings.items() if name in fields}
    options = declared.get("options", {})
    return declared | {"options": {**options, **card_settings} if isinstance(options, Mapping) else options}


# Strict: a number in quotes, `true` for 1 and `3.0` for 3 are refused instead of converted.
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]  # takes a whole number too

T = TypeVar("T")
Axis = Annotated[tuple[T, ...], BeforeValidator(as_tuple), Field(min_length=1)]
LabelsAxis = Annotated[
    tuple[str | tuple[tuple[Whole, ...], ...], ...], BeforeValidator(_as_labels), Field(min_length=1)
]
FreezeAxis = Annotated[tuple[tuple[str | Whole, ...], ...], BeforeValidator(_as_sets), Field(min_length=1)]
Zip = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_as_groups)]

Sides = Annotated[tuple[Annotated[Whole, Field(ge=1)], ...], Field(min_length=1, max_length=2)]
Channels = Annotated[tuple[Number, ...], Field(min_length=1)]
Deviation = Annotated[Number, Field(gt=0)]
Deviations = Annotated[tuple[Deviation, ...], Field(min_length=1)]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Scalar = bool | int | float | str


class Section(BaseModel):
    """A part of a job: immutable, and no key that is not declared is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
