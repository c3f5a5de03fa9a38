"""A user's own card, named as text: `path/to/file.py:CARD` or `package.module:CARD`.

To find it is to run that code, which may do anything: nothing here is called before the user has said so.
"""

import sys
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from sweeper.errors import UsageError

from .card import StitcherCard


def stitcher(name: str) -> StitcherCard:
    """The card of a stitcher. Imports what is named, once a process.

    A file's module is named by a digest of its bytes, so that no other module is in its way; its card names a builder
    in the same file as `f"{__name__}:function"`. Raises UsageError where nothing of the name can be imported, or it
    is no card.
    """
    where, _, what = name.rpartition(":")
    try:
        found = getattr(_of_file(Path(where)) if where.endswith(".py") else import_module(where), what)
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"no stitcher {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(found, StitcherCard):
        raise UsageError(f"{name} is a {type(found).__name__}; a StitcherCard is needed")
    return found


def _of_file(path: Path) -> ModuleType:
    name = f"sweeper_own_{sha256(path.read_bytes()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
