"""Ranges of whole numbers in a job: `0..9` stands for 0, 1, ..., 9, both ends included."""

import re
from collections.abc import Sequence

LONGEST_RANGE = 100_000
PATTERN = r"^\d{1,9}\.\.\d{1,9}$"  # in the JSON Schema of a job

_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})", re.ASCII)
_LIKE_A_RANGE = re.compile(r"\s*([+-]?\d[\d_.]*)\s*(?:\.{2,}|…|-|:|to)\s*([+-]?\d[\d_.]*)\s*(?:(?:\.{2,}|:).*)?")


def expand_range(value: object) -> Sequence[object]:
    """Return the whole numbers of a range; of any other value, itself alone."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    first, last = (int(match[1]), int(match[2])) if match else (0, -1)
    return range(first, last + 1) if 0 <= last - first < LONGEST_RANGE else (value,)


def correction(text: str) -> str:
    """Return how a text that is meant as several whole numbers is written; "" if it isn't meant so."""
    if match := _RANGE.fullmatch(text):
        first, last = int(match[1]), int(match[2])
        if first > last:
            return f"a range begins with its smaller number: {last}..{first}"
        return f"a range has at most {LONGEST_RANGE} numbers, and this one has {last - first + 1}"
    if text.strip() in ("*", "all", "any", "..", "...") or text.startswith("range("):
        return "give the values, such as 0, or 0,1,2 as a list, or 0..9 for a range"
    if _LIKE_A_RANGE.fullmatch(text):
        return "a range is two whole numbers from 0 on with two dots between them, such as 0..9, and has steps of 1"
    return ""
