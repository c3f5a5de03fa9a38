"""Texts of rows: how any text of Python is stored, and a text for an error of any kind."""

import re
import traceback

LONGEST = 20_000  # characters of an error's text that are kept; an array in it may have millions

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def storable(text: str) -> str:
    r"""Return a text in the form in which it is stored.

    A text of Python may have lone surrogates, which stand for the bytes of a file's name that isn't UTF-8. UTF-8, and
    so Arrow and DuckDB, have no form for them; each is written as an escape.

    >>> storable("a\udce9b")
    'a\\udce9b'
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def error_text(error: BaseException) -> str:
    """Return the text of an error, shortened; an error whose own text can't be made gets one that says so."""
    try:
        text = str(error)
    except Exception as problem:
        text = f"(the error's own text can't be made: {type(problem).__name__})"
    return shorten(storable(text))


def trace_text(error: BaseException) -> str:
    """Return the traceback of an error, shortened."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as problem:  # a library's error may have attributes that can't be formatted
        text = f"(the traceback can't be made: {type(problem).__name__})\n"
    return shorten(storable(text))


def raised_at(trace: str) -> str | None:
    r"""Return the file and the line of the code that raised an error, from its traceback; None if there is none.

    >>> raised_at('File "/home/me/sweeper/trials/perform.py", line 12, in run\n    f(x)\nValueError: no')
    'trials/perform.py:12'
    """
    frames = _FRAME.findall(trace)
    if not frames:
        return None
    file, line = frames[-1]
    return f"{'/'.join(file.split('/')[-2:])}:{line}"


def failure_class(error: str, place: str | None) -> str:
    """Return the class of a failure: the type of its error, and the place in the code if that is known.

    The text of the error is no part of it, because it often contains numbers, ids or file names.
    """
    return f"{error} at {place}" if place else error


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return a text without its middle if it has more than `longest` characters.

    >>> shorten("0123456789", 4)
    '01 ... (6 characters left out) ... 89'
    """
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} ... ({len(text) - 2 * half} characters left out) ... {text[-half:]}"
