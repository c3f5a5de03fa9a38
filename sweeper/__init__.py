"""Sweeper compares the representations of trained networks by model stitching.

The names in `__all__` are the Python API; docs/python.md describes each. A name is imported when it is first used, so
`import sweeper` loads neither torch nor Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.spec.job.sweep import Sweep

    from . import errors, stitchers
    from .api import load, make_plan
    from .engine.run import run
    from .plan.plan import Plan
    from .store.store import Store

    __version__: str

__all__ = ["Plan", "Store", "Sweep", "__version__", "errors", "load", "make_plan", "run", "stitchers"]

_MODULES = {
    "Plan": ".plan.plan",
    "Store": ".store.store",
    "Sweep": ".spec.job.sweep",
    "load": ".api",
    "make_plan": ".api",
    "run": ".engine.run",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module(".distribution", __name__).version()
    if name in ("errors", "stitchers"):
        return import_module(f".{name}", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
