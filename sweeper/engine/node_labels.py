"""Selectors of nodes by their labels, in Ray's notation.

A selector has a condition for each label: `A100` (equal), `!A100` (another value, or the label is missing),
`in(A100, H100)` or `!in(A100, H100)`. Ray sets the labels `ray.io/accelerator-type`, `ray.io/node-group` and others;
`ray start --labels` sets more.
"""

from collections.abc import Iterable, Mapping


def matches(selector: Iterable[tuple[str, str]], labels: Mapping[str, str]) -> bool:
    """Return True if a node's labels satisfy every condition of a selector."""
    return all(_satisfies(condition, labels.get(key)) for key, condition in selector)


def _satisfies(condition: str, label: str | None) -> bool:
    negated = condition.startswith("!")
    condition = condition.removeprefix("!")
    values = [condition]
    if condition.startswith("in(") and condition.endswith(")"):
        values = [value.strip() for value in condition[3:-1].split(",")]
    return (label in values) is not negated
