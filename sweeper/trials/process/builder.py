"""Finds what a card names as text."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def find(builder: str) -> Callable[..., Any]:
    """The function that `module:function` names. Raises ImportError or AttributeError where there is none."""
    module, _, function = builder.partition(":")
    return getattr(import_module(module), function)
