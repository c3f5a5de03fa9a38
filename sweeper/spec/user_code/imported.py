"""Imports of the user's code: `package.module:name` and `path/to/file.py:name`.

An import runs the code, which may do anything. Callers import only code that the user trusts.
"""

import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location, spec_from_loader
from operator import attrgetter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sweeper.spec.records.ident import digest
from sweeper.spec.user_code.sources import Sources, module_candidates


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
    return getattr(_module_of(path, content, digest(content)), attribute)


def import_from_sources(sources: Sources, attribute: str) -> Any:
    """Return an object of a file whose imports find the modules beside it; each version runs once a process.

    Call it, and the object, inside `modules_beside(sources)`.

    Args:
        sources: The file and the modules beside it that it imports.
        attribute: The name of the object; dots lead into classes.

    Raises:
        AttributeError: The file has no such name.
        Exception: Any error that the import raises.
    """
    module = _module_of(sources.file, sources.contents[sources.file], sources.digest)
    return attrgetter(attribute)(module)


# The modules beside a user's file that this process imported, with the digest of the file's sources.
_modules_beside: dict[str, tuple[ModuleType, str]] = {}


@contextmanager
def modules_beside(sources: Sources) -> Iterator[None]:
    """Let imports find the modules beside a file first, as in a script that is run.

    Modules of the same names, from other folders or of older versions of these files, are set aside meanwhile.
    """
    folder, version = sources.file.parent, sources.digest
    names = {_module_name(path, folder) for path in sources.contents if path != sources.file}
    set_aside: dict[str, ModuleType] = {}
    for name in names & sys.modules.keys():
        module, module_version = _modules_beside.get(name, (None, ""))
        if sys.modules[name] is not module:
            set_aside[name] = sys.modules.pop(name)
        elif module_version != version:
            del sys.modules[name]
    finder = _Finder(sources)
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(folder))
        _modules_beside.update({name: (sys.modules[name], version) for name in names & sys.modules.keys()})
        sys.modules.update(set_aside)


def place_in(files: Collection[Path], error: BaseException) -> str:
    """Return the last place in some files that an exception came through, as `FILE:LINE`; "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) in files:
        return f"{error.filename}:{error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename) in files), "")


def exception_text(error: BaseException) -> str:
    """Return an exception as one line: its type and the first line of its message."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first_line = next(iter(text.splitlines()), "")
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


class _Finder:
    """An import finder of the modules beside a file, which run from the bytes that were read."""

    def __init__(self, sources: Sources):
        self._folder = sources.file.parent
        self._contents = {name: sources.contents[name] for name in sources.contents if name != sources.file}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        place = self._folder.joinpath(*name.split("."))
        if path is not None and str(place.parent) not in path:
            return None  # a module of another package of the same name
        for file in module_candidates(place):
            if file in self._contents:
                return spec_from_file_location(name, file, loader=_Loader(name, file, self._contents[file]))
        return None


class _Loader(SourceFileLoader):
    """A loader of given bytes; it neither reads nor writes Python's cache of compiled modules."""

    def __init__(self, name: str, file: Path, content: bytes):
        super().__init__(name, str(file))
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._content, self.path, "exec", dont_inherit=True)


def _module_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module_of(path: Path, content: bytes, version: str) -> ModuleType:
    """Return the module of a file, which runs once a process for each version of the code."""
    name = f"sweeper_own_{version[:16]}"
    return sys.modules.get(name) or _run(name, path, content)


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
