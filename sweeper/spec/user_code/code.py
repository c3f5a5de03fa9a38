"""Digests of the user's code that a job names as `package.module:name` or `path/to/file.py:NAME`.

Importing a module runs it, so a job may use one only if its user allows it (`--trust`). This module hashes files and
imports none. The resolved job records the trusted code with the digest of its file.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import UsageError
from sweeper.files import expand_user
from sweeper.spec.content.fingerprint import file_digest
from sweeper.spec.user_code.sources import module_candidates, read_sources

NONE = "none"  # the digest of code that is part of Sweeper or of a library


@dataclass(frozen=True, slots=True)
class Code:
    """A name in trusted code, and the digest of its file ("" if there is no such file)."""

    name: str  # as the job names it
    digest: str
    path: str = ""  # the absolute path of code that is named by its file; enters no id


def find_module(name: str) -> Path | None:
    """Return the file of a callable's module, from the current folder or Python's path; None if there is none."""
    module = name.partition(":")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    relative_path = Path(*module.split("."))
    paths = (Path(folder or ".") / relative_path for folder in (".", *sys.path))
    files = (file for path in paths for file in module_candidates(path))
    return next((file.absolute() for file in files if file.is_file()), None)


def hash_module(name: str) -> Code:
    """Return the code `package.module:name` with the present digest of its file.

    Raises:
        DataError: The file can't be read.
    """
    file = find_module(name)
    return Code(name, file_digest(file) if file else "")


def hash_file(name: str, folder: Path) -> Code:
    """Return the code `path/to/file.py:NAME` with the present digest of the file.

    Args:
        name: The code; its path may contain `~` and `${VARIABLES}`.
        folder: The folder to which the path is relative.

    Raises:
        DataError: The file can't be read.
    """
    path = _absolute(name, folder)
    return Code(name, file_digest(path) if path.is_file() else "", str(path))


def hash_network(name: str, folder: Path) -> Code:
    """Return a network's code: `package.module:callable`, or `path/to/file.py:NAME` with a path relative to `folder`.

    The digest of code in a file is that of the file and of the modules beside it that it imports.

    Raises:
        DataError: The file of a module can't be read.
    """
    if not is_file_name(name):
        return hash_module(name)
    path = _absolute(name, folder)
    try:
        return Code(name, read_sources(path).digest, str(path))
    except UsageError:
        return Code(name, "", str(path))


def _absolute(name: str, folder: Path) -> Path:
    """Return the absolute path of the file that a name begins with, without symbolic links, as Python runs a script."""
    path = expand_user(os.path.expandvars(name.rpartition(":")[0]))
    return (folder / path).resolve()


def is_file_name(name: str) -> bool:
    """Return True if code is named by its file."""
    return name.rpartition(":")[0].endswith(".py")


def find_trusted(trusted: Iterable[Code], name: str) -> Code | None:
    """Return the trusted code of a name; None if it isn't trusted."""
    return next((code for code in trusted if code.name == name), None)
