"""Networks in users' files: the call of a class or function with the settings of a job."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.user_networks import NONE, Argument, Scalar, recorded_default
from sweeper.spec.records.task import Options
from sweeper.spec.user_code import imported
from sweeper.spec.user_code.sources import read_sources
from sweeper.trials.networks.traced.signature import import_network, parameters_of, read_arguments


def build_user_network(name: str, image: Shape, classes: int, options: Options) -> nn.Module:
    """Call the class or function of a user's file and return the network.

    Args:
        name: `path/to/file.py:NAME`.
        image: The shape of an image (channels, height, width).
        classes: The number of classes.
        options: The settings of the network, all of them.

    Raises:
        UsageError: The file can't be imported, or has no such class or function.
        NetworkError: The call raises, or it doesn't return a network.
    """
    path, _, attribute = name.rpartition(":")
    sources = read_sources(Path(path))
    with imported.modules_beside(sources):
        function = import_network(sources, attribute)
        positional, named = _call_arguments(function, image, classes, dict(options))
        try:
            network = function(*positional, **named)
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            place = imported.place_in(sources.contents, error) or str(sources.file)
            settings = ", ".join(f"{key}={value!r}" for key, value in named.items())
            problem = f"{attribute}({settings}) can't be made: {imported.exception_text(error)}"
            raise NetworkError(f"{place}: {problem}") from error
    return checked_network(name, network)


def checked_network(name: str, returned: Any) -> nn.Module:
    """Return what a user's code has returned, if it is a network.

    Raises:
        NetworkError: It is anything else; the message names the code.
    """
    if not isinstance(returned, nn.Module):
        raise NetworkError(f"{name} returns a {type(returned).__name__}; a torch.nn.Module is needed")
    return returned


def _call_arguments(
    function: Callable[..., Any], image: Shape, classes: int, options: Mapping[str, Scalar]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the named arguments of a call.

    Those that the data set gives are filled in. One whose setting is its default is left to Python, so that a default
    of another type, such as 8 for a float, arrives as it is written.
    """
    parameters = parameters_of(function)
    arguments = {argument.name: argument for argument in read_arguments(function)[0]}
    from_data = {"num_classes": classes, "in_channels": image[0], "image": image}
    values = {name: from_data[name] for name in parameters if name in from_data}
    for name, value in options.items():
        if name not in arguments:
            values[name] = value  # one of `**kwargs`
        elif arguments[name].required or value != recorded_default(arguments[name]):
            values[name] = _python_value(arguments[name], value)
    positional_only = [p for p in parameters.values() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    return [values.pop(parameter.name, parameter.default) for parameter in positional_only], values


def _python_value(argument: Argument, value: Scalar) -> Scalar | None:
    return None if argument.optional and value == NONE else value
