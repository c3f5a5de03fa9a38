"""Networks in users' files: the arguments of a class or function, which are settings of a family as `width` is.

A job names one as `path/to/file.py:NAME`. Rows name it by its name and version, `Net@3f2a9c1b`, which contains the
digest of its file and of the modules beside it that it imports. Reading a signature runs the file, which only a process
of its own does (`sweeper.trials.networks.traced.signature`). The resolved job records the arguments, so planning never
needs the user's code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeper.errors import SweeperError, did_you_mean
from sweeper.spec.cards.card import OptionValues
from sweeper.spec.records.task import Options
from sweeper.spec.user_code.code import Code

Scalar = bool | int | float | str

# The arguments that come from the data set, for a network in a file.
FROM_DATA = {
    "num_classes": "the number of classes",
    "in_channels": "the number of channels of an image",
    "image": "the shape of an image (channels, height, width)",
}
ANY = ("bool", "int", "float", "str")  # the types of an argument whose signature names none
NONE = "none"  # the value of a setting that stands for Python's None
_WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a network's class or function."""

    name: str
    text: str  # as the signature has it, such as "width: int = 8"
    types: tuple[str, ...]  # of the values that it takes; () if no value of a job can be one
    required: bool
    default: Scalar | None = None  # None: it has none, or one that is not recorded, such as a list
    choices: tuple[Scalar, ...] = ()
    optional: bool = False  # `none` stands for None


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A network in a user's file, as a resolved job stores it."""

    name: str  # in the job
    card: str  # the name in ids and rows: its own name and its version
    where: str  # the absolute path of its file and its name there; enters no id
    line: int  # of its definition in the file; 0 if unknown
    arguments: tuple[Argument, ...]
    takes_any: bool = False  # it has `**kwargs`

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the arguments that a job may give."""
        return tuple(argument.name for argument in self.arguments if argument.types)

    def complete(self, settings: OptionValues | Options) -> Options:
        """Return every setting, sorted: the given values and the defaults, each in the type of its argument.

        Raises:
            SweeperError: A setting is unknown or missing, or its value isn't allowed.
        """
        given = dict(settings)
        if mistakes := self.problems(given):
            name, problem, correction = mistakes[0]
            raise SweeperError(f"{self.name}: {name}: {problem}; {correction}")
        arguments = self._named()
        defaults = {name: recorded_default(argument) for name, argument in arguments.items() if name not in given}
        values = {
            name: _in_type(arguments[name], value) if name in arguments else value for name, value in given.items()
        }
        values |= {name: default for name, default in defaults.items() if default is not None}
        return tuple(sorted(values.items()))

    def takes(self, name: str) -> bool:
        """Return True if a job may give a setting."""
        return name in self.settings or (self.takes_any and name not in FROM_DATA and name not in self._named())

    def problems(
        self, values: OptionValues, other_keys: Iterable[str] = (), complete: bool = True
    ) -> list[tuple[str, str, str]]:
        """Return the setting, the problem and the correction of each mistake in the values of settings.

        Args:
            values: Values by setting.
            other_keys: The other keys allowed beside the settings, for suggestions.
            complete: True reports the required settings without a value, too.
        """
        arguments = self._named()
        mistakes = []
        for name, value in values.items():
            if name not in arguments and not self.takes(name):
                mistakes.append((name, *self._unknown(name, other_keys)))
            elif name in arguments and (correction := requirement(arguments[name], value)):
                text = f"{correction}: {self._signature(arguments[name])}"
                mistakes.append((name, f"{_quoted(value)} is not allowed", text))
        if complete:
            missing = (argument for name, argument in arguments.items() if argument.required and name not in values)
            mistakes += [(argument.name, *self.missing(argument)) for argument in missing]
        return mistakes

    def missing(self, argument: Argument) -> tuple[str, str]:
        """Return the problem and the correction for a required argument without a value."""
        problem = f"{self.name} needs a value for its argument '{argument.name}'"
        if not argument.types:
            return problem, f"no value of a job fits it, so give it a default: {self._signature(argument)}"
        return problem, f"{self._signature(argument)}; only {', '.join(FROM_DATA)} come from the data set"

    def _named(self) -> Mapping[str, Argument]:
        return {argument.name: argument for argument in self.arguments}

    def _signature(self, argument: Argument) -> str:
        """Return the place of the signature and what it says about an argument."""
        line = f":{self.line}" if self.line else ""
        return f"{self.where.rpartition(':')[0]}{line} has '{argument.text}'"

    def _unknown(self, name: str, other_keys: Iterable[str]) -> tuple[str, str]:
        if name in FROM_DATA:
            return f"{name} comes from the data set ({FROM_DATA[name]})", "leave it out"
        right = did_you_mean(name, [*self.settings, *other_keys])
        return (
            f"{self.name} has no argument '{name}'",
            right or f"its arguments are {', '.join(self.settings) or 'none'}",
        )


def name_in_rows(code: Code) -> str:
    """Return the name of a network in ids and rows: its own name and its version."""
    return f"{code.name.rpartition(':')[2]}@{code.digest[:8]}"


def recorded_default(argument: Argument) -> Scalar | None:
    """Return the value that stands for an argument's default in an id; None if the default isn't recorded."""
    if argument.required or not argument.types:
        return None
    if argument.default is not None:
        return _in_type(argument, argument.default)
    return NONE if argument.optional else None


def requirement(argument: Argument, value: Scalar) -> str:
    """Return what a value of an argument must be; "" if the value is allowed."""
    if argument.optional and value == NONE:
        return ""
    if argument.choices:
        allowed = any(type(value) is type(choice) and value == choice for choice in argument.choices)
        choices = [*map(_quoted, argument.choices), *([NONE] if argument.optional else [])]
        right = did_you_mean(value, [str(choice) for choice in argument.choices]) if isinstance(value, str) else ""
        return "" if allowed else right or f"it must be one of {', '.join(choices)}"
    kind = type(value).__name__
    if kind in argument.types or (kind == "int" and "float" in argument.types):
        return ""
    if not argument.types:
        return "no value of a job fits it; leave it out"
    words = [_WORDS[name] for name in argument.types if name != "int" or "float" not in argument.types]
    return f"it must be {' or '.join([*words, *([NONE] if argument.optional else [])])}"


def _in_type(argument: Argument, value: Scalar) -> Scalar:
    """Return a value in the type of its argument: 1 is 1.0 where the argument is a float."""
    return float(value) if type(value) is int and "float" in argument.types and "int" not in argument.types else value


def _quoted(value: Scalar) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def networks_by_name(networks: Iterable[UserNetwork]) -> Mapping[str, UserNetwork]:
    """Return networks by their names in the job and by their names in rows."""
    return {name: network for network in networks for name in (network.name, network.card)}
