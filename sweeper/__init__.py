"""Sweeper: which network's representations are better, and which are the same? Asked by model stitching.

The Python API is three nouns and a verb, each imported when it is first used: `Sweep`, `Plan`, `Store`, `run`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.spec.job.sweep import Sweep

    from .engine.run import run
    from .plan.plan import Plan
    from .store.store import Store

__all__ = ["Plan", "Store", "Sweep", "run"]

_MODULES = {"Plan": ".plan.plan", "Store": ".store.store", "Sweep": ".spec.job.sweep", "run": ".engine.run"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
