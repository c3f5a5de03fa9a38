"""Phrases of the messages on data sets: some of many names, a number with its noun."""

from collections.abc import Sequence

MOST_NAMED = 5  # names of a longer list that a message contains


def some_of(names: Sequence[object], most: int = MOST_NAMED) -> str:
    """Return the first names of a list, and how many more there are.

    >>> some_of(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(str(name)) for name in names[:most]) + more


def count_of(count: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural.

    >>> count_of(1, "image"), count_of(2, "class")
    ('1 image', '2 classes')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def printable(name: str) -> str:
    r"""Return a file's name with escapes for bytes that aren't UTF-8, line breaks and what else a terminal can't show.

    >>> printable("a\nb")
    'a\\nb'
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
