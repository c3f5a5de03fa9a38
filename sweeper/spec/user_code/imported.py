"""Code of the user's, imported: `package.module:name`, `path/to/file.py:name`. To import is to run it, which may do
anything: nothing here is called before the user has said so.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from sweeper.spec.records.ident import digest


def of_module(name: str) -> Any:
    """What a module calls so; the current folder is looked at first, as `python -m` does. Raises what importing it
    raises, AttributeError where it has no such name."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def of_file(path: Path, content: bytes, attribute: str) -> Any:
    """What a file calls so, run once a process for each content that it has had. Raises as `of_module` does.

    The module's name is a digest of the content: no other module is in its way, and two versions of a file are two
    modules. The very bytes that were read are run; Python's own loader may take an older version from its cache.
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
