"""The arguments of a user's network, from the signature of its class or function.

    python -m sweeper.trials.networks.traced.signature path/to/file.py:NAME

runs the file and prints them as JSON. Planning imports no user code, so `sweeper.spec.job.signatures` starts this
process.
"""

import inspect
import math
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from torch import nn

from sweeper.errors import UsageError, did_you_mean
from sweeper.spec.cards.user_networks import ANY, FROM_DATA, Argument, UserNetwork
from sweeper.spec.user_code import imported
from sweeper.spec.user_code.processes import open_answers, report_mistake
from sweeper.spec.user_code.sources import Sources, defined_names, read_sources

_SCALARS = {bool: "bool", int: "int", float: "float", str: "str"}
_UNKNOWN = inspect.Parameter.empty


def import_network(sources: Sources, attribute: str) -> Callable[..., Any]:
    """Return the class or function of a user's file; call it inside `imported.modules_beside`.

    Raises:
        UsageError: The file raises, has no such name, or something else under it.
    """
    file = sources.file
    try:
        function = imported.import_from_sources(sources, attribute)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        if isinstance(error, AttributeError) and not imported.place_in(sources.contents, error):
            names = defined_names(sources.contents[file])
            right = did_you_mean(attribute, names, prefix=f"{file.name}:") or f"it has {', '.join(names) or 'none'}"
            raise UsageError(f"{file} has no class or function '{attribute}'; {right}") from None
        raise UsageError(
            f"{imported.place_in(sources.contents, error) or file}: {imported.exception_text(error)}"
        ) from error
    if isinstance(function, nn.Module) or not callable(function):
        kind = "network" if isinstance(function, nn.Module) else type(function).__name__
        raise UsageError(f"{file}: {attribute} is a {kind}; name the class or the function that makes the network")
    return function


def read_arguments(function: Callable[..., Any]) -> tuple[tuple[Argument, ...], bool]:
    """Return the arguments that a job may give or that have no value, and True if there are `**kwargs`.

    Raises:
        UsageError: The function has no signature.
    """
    parameters = parameters_of(function)
    hints = _type_hints(function)
    arguments = tuple(
        _argument(parameter, hints.get(parameter.name, _UNKNOWN))
        for parameter in parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and parameter.name not in FROM_DATA
    )
    return arguments, any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function.

    Raises:
        UsageError: It has no signature.
    """
    if isinstance(function, type) and function.__init__ is nn.Module.__init__:
        return {}  # torch declares `*args, **kwargs` and refuses any
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"the arguments of {function!r} can't be read: {error}") from None


def _argument(parameter: inspect.Parameter, hint: Any) -> Argument:
    default = None if parameter.default is parameter.empty else parameter.default
    required = parameter.default is parameter.empty
    names, choices, optional = _values(hint)
    if type(default) in _SCALARS and (not isinstance(default, float) or math.isfinite(default)):
        kind = _SCALARS[type(default)]
        if hint is _UNKNOWN:
            names = (kind,)
        elif names and kind not in names and not (kind == "int" and "float" in names):
            names = (*names, kind)  # the default contradicts the annotation
    elif default is not None:
        names, default = (() if hint is _UNKNOWN else names), None
    optional = optional or (not required and parameter.default is None)
    if choices and default is not None and not any(default is c or default == c for c in choices):
        choices = (*choices, default)
    return Argument(parameter.name, _text(parameter), names, required, default, choices, optional)


def _values(hint: Any) -> tuple[tuple[str, ...], tuple[Any, ...], bool]:
    """Return the types and choices of an annotation's values that a job can give, and True if None is one of them."""
    if hint is _UNKNOWN or hint is Any or hint is object:
        return ANY, (), hint is not _UNKNOWN
    if hint in _SCALARS:
        return (_SCALARS[hint],), (), False
    if hint is None or hint is type(None):
        return (), (), True
    origin, members = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _values(members[0])
    if origin is Literal:
        choices = tuple(choice for choice in members if type(choice) in _SCALARS)
        return tuple(dict.fromkeys(_SCALARS[type(c)] for c in choices)), choices, None in members
    if origin in (Union, types.UnionType):
        answers = [_values(member) for member in members]
        names = tuple(dict.fromkeys(name for answer in answers for name in answer[0]))
        all_literal = all(answer[1] or not answer[0] for answer in answers)
        choices = tuple(choice for answer in answers for choice in answer[1]) if all_literal else ()
        return names, choices, any(answer[2] for answer in answers)
    return _values(hint.__supertype__) if hasattr(hint, "__supertype__") else ((), (), False)


def _type_hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of a class's or function's parameters; one that can't be evaluated is unknown."""
    holder = function
    if isinstance(function, type):
        holder = function.__init__ if "__init__" in _names_of(function) else function.__new__
    holder = inspect.unwrap(holder)
    try:
        return get_type_hints(holder, include_extras=True)
    except Exception:  # names that only type checkers import
        scope = getattr(holder, "__globals__", {})
        return {name: _evaluate(text, scope) for name, text in getattr(holder, "__annotations__", {}).items()}


def _names_of(cls: type) -> set[str]:
    return {name for base in cls.__mro__[:-1] for name in vars(base)}


def _evaluate(annotation: Any, scope: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(scope))  # the user's own code, which this process has just run
    except Exception:  # whatever the user's annotation raises, such as NameError for a name that is not imported
        return _UNKNOWN


def _text(parameter: inspect.Parameter) -> str:
    """Return a parameter as the signature has it."""
    annotation = parameter.annotation
    if isinstance(annotation, type) and annotation in _SCALARS:
        return str(parameter)
    if isinstance(annotation, str):
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        return f"{parameter.name}: {annotation}{default}"
    return str(parameter).replace("typing.", "")


def main(name: str) -> int:
    """Print the signature of a network as JSON and return 0, or print an error and return 2.

    What the user's code prints goes to stderr.
    """
    answer_file = open_answers()
    path, _, attribute = name.rpartition(":")
    try:
        sources = read_sources(Path(path))
        with imported.modules_beside(sources):
            function = import_network(sources, attribute)
            arguments, takes_any = read_arguments(function)
    except UsageError as error:
        report_mistake(error)
        return 2
    network = UserNetwork(attribute, "", "", _line(function), arguments, takes_any)
    with answer_file:
        answer_file.write(TypeAdapter(UserNetwork).dump_json(network).decode())
    return 0


def _line(function: Callable[..., Any]) -> int:
    """Return the line of the file where a class's arguments, or a function, begin; 0 if unknown."""
    holder = vars(function).get("__init__", function) if isinstance(function, type) else function
    code = getattr(inspect.unwrap(holder), "__code__", None)
    return code.co_firstlineno if code else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
