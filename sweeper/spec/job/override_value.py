"""The value of an override on the command line, as YAML.

A list needs no brackets: `width=4,8` and `stitcher=conv1x1,{name: conv, kernel: 3}`. An item that begins with a
character which YAML reserves, such as `*`, is a text.
"""

import json
from collections.abc import Iterator

_OPENING, _CLOSING = "([{", ")]}"
_RESERVED = ("*", "@", "`", "%")


def as_yaml(value: str) -> str:
    """Return the value of an override as YAML: several items that commas separate become a list."""
    items = list(_items(value))
    if len(items) > 1 and all(item.strip() for item in items):
        return f"[{', '.join(map(_quoted_if_reserved, items))}]"
    return _quoted_if_reserved(value)


def _items(value: str) -> Iterator[str]:
    """Yield the parts between commas, except commas inside brackets and quotes.

    A quotation mark begins a quoted text only where an item or a value begins, so that `it's` is one word.
    """
    start, depth, quote, before = 0, 0, "", ","
    for i, character in enumerate(value):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and before in ",:([{":
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            yield value[start:i]
            start = i + 1
        before = before if character.isspace() else character
    yield value[start:]


def _quoted_if_reserved(item: str) -> str:
    text = item.strip()
    return json.dumps(text) if text.startswith(_RESERVED) else item
