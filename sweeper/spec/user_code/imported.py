"""Imports of the user's code: `package.module:name` and `path/to/file.py:name`.

An import runs the code, which may do anything. Callers import only code that the user trusts.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from sweeper.spec.records.ident import digest


def import_from_module(name: str) -> Any:
    """Return the object `package.module:name`; the current folder comes first on Python's path, as with `python -m`.

    Raises:
        AttributeError: The module has no such name.
        Exception: Any error that the import raises.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def import_from_file(path: Path, content: bytes, attribute: str) -> Any:
    """Return an object of a file; each content of the file runs once a process.

    The module's name is a digest of the content, so it never collides with another module, and two versions of a file
    are two modules. The bytes in `content` are run, because Python's loader may take an older version from its cache.

    Args:
        path: The file, for tracebacks and `__file__`.
        content: The bytes of the file.
        attribute: The name of the object.

    Raises:
        AttributeError: The file has no such name.
        Exception: Any error that the import raises.
    """
    name = f"sweeper_own_{digest(content)[:16]}"
    module = sys.modules.get(name) or _run(name, path, content)
    return getattr(module, attribute)


def _run(name: str, path: Path, content: bytes) -> ModuleType:
    spec = spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)
    module.__file__ = str(path)
    try:
        exec(compile(content, path, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
