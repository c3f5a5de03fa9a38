"""A check of `doctor`, and its call with a time limit."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check."""

    name: str
    state: str  # OK, WARNING (a run is slower or less safe) or FAILED (a run can't start)
    details: str
    fix: str = ""  # a command or a sentence; empty if nothing is wrong


def perform_check(name: str, function: Callable[[], Check], seconds: float) -> Check:
    """Return the result of a check; it has failed if it raises, or has no result after some seconds.

    A check that hangs goes on in its thread, which does not keep the process from ending.
    """
    results: list[Check] = []

    def call() -> None:
        try:
            results.append(replace(function(), name=name))
        except Exception as error:
            results.append(Check(name, FAILED, f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=call, name=f"sweeper-check-{name}", daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else Check(name, FAILED, f"no answer within {seconds:g} s")


def worst(checks: Sequence[Check]) -> Check:
    """Return the first of the checks with the worst state."""
    return max(checks, key=lambda check: (OK, WARNING, FAILED).index(check.state))
