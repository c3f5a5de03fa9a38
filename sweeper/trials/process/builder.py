"""Import of the functions that cards name as text."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def import_builder(builder: str) -> Callable[..., Any]:
    """Return the function that a card names as `module:function`.

    Raises:
        ImportError: If there is no such module.
        AttributeError: If the module has no such function.
    """
    module, _, function = builder.partition(":")
    return getattr(import_module(module), function)
