"""The message about a command line that can't be read: an unknown option, a missing argument, a value of no use."""

import re
from typing import Any

import typer

from sweeper.errors import UsageError, did_you_mean

# The error of a command line that can't be read, of the parser that typer uses; later versions of typer have their own.
UNREADABLE: type[Exception] = typer.BadParameter.__mro__[1]
# What pydantic, which some versions of typer check values with, adds to a message: it says nothing to a user.
_WORDS_OF_PYDANTIC = re.compile(r"Value error, |, unable to parse .*", re.DOTALL)


def usage_error(error: Any) -> UsageError:
    """Return an error of the parser as one sentence: the command, what is wrong, and what would be right."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "sweeper"
    problem = _problem(error, context)
    separator = " " if problem.endswith("?") else "; "
    return UsageError(f"{command}: {problem}{separator}`{command} --help` shows how to call it")


def _problem(error: Any, context: Any) -> str:
    if hasattr(error, "possibilities"):
        options = [name for parameter in context.command.params for name in parameter.opts] if context else []
        suggestion = did_you_mean(error.option_name, [name for name in options if name.startswith("--")])
        return "; ".join(filter(None, (f"there is no option {error.option_name}", suggestion)))
    text = _WORDS_OF_PYDANTIC.sub("", error.format_message()).rstrip(".").replace(". Did you mean", "; did you mean")
    return text[:1].lower() + text[1:]
