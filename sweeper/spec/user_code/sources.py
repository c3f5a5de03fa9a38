"""The source of a user's network: its file, and the files beside it that it imports.

All of them are read before any of them runs, and these bytes are the ones that run, so the digest in an id is that of
the code that made the result.
"""

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import UsageError
from sweeper.spec.records.ident import digest


@dataclass(frozen=True, slots=True)
class Sources:
    """A file of code, and the modules in its folder that it imports, directly or through each other."""

    file: Path
    contents: Mapping[Path, bytes]  # of the file, and of the modules by their paths

    @property
    def digest(self) -> str:
        """The digest of the file; with modules beside it, of all the files and their places in the folder."""
        if len(self.contents) == 1:
            return digest(self.contents[self.file])
        modules = [(path, content) for path, content in self.contents.items() if path != self.file]
        places = sorted((str(path.relative_to(self.file.parent)), digest(content)) for path, content in modules)
        return digest(json.dumps([digest(self.contents[self.file]), *places]).encode())


def read_sources(file: Path) -> Sources:
    """Read a file of code and the modules in its folder that it imports, without running any of them.

    Raises:
        UsageError: The file can't be read.
    """
    contents = {file: _read(file)}
    unread = [file]
    while unread:
        importer = unread.pop()
        for module in _imported_files(contents[importer], importer, file.parent):
            if module not in contents and module.is_relative_to(file.parent):
                contents[module] = _read(module)
                unread.append(module)
    return Sources(file, contents)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"no file {file}: {error.strerror}") from None


def defined_names(content: bytes) -> list[str]:
    """Return the names of the classes and functions at the top of a file of code; none if its syntax is wrong."""
    return [node.name for node in _parse(content).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]


def _imported_files(content: bytes, importer: Path, folder: Path) -> Iterator[Path]:
    """Yield the files in a folder that a file imports; an import inside a function counts too."""
    for node in ast.walk(_parse(content)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = folder if node.level == 0 else importer.parents[min(node.level, len(importer.parents)) - 1]
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _module_files(base, [*parts, alias.name])


def module_candidates(place: Path) -> tuple[Path, Path]:
    """Return the files that can hold the module of a path without a suffix: those of a package and of a module."""
    return place / "__init__.py", place.with_name(f"{place.name}.py")


def _module_files(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the files that the import of a dotted name runs: those of the packages, and of the module."""
    for count in range(1, len(parts) + 1):
        candidates = module_candidates(folder.joinpath(*parts[:count]))
        yield from (file for file in candidates if file.is_file())


def _parse(content: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):  # the import shows them
            return ast.parse(content)
    except (SyntaxError, ValueError):  # the import reports it
        return ast.Module([], [])
