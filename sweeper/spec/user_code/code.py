"""Code of the user's that a job names, as `package.module:name` or `path/to/file.py:NAME`: found and hashed, never
imported, here.

Importing a module runs it, so a job may name one only where its user says so (`--trust`); what was trusted is written
into the resolved job, with the digest of the module's file.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sweeper.spec.content.fingerprint import file_digest

NONE = "none"  # code of Sweeper's, or of a library


@dataclass(frozen=True, slots=True)
class Code:
    """Code that was trusted, and the digest of its file: "" where there is no such file."""

    name: str  # as the job names it
    digest: str
    path: str = ""  # of code named by its file, absolute; in no id


def find(name: str) -> Path | None:
    """The file of a callable's module, in the current folder or else on Python's path; None where there is none."""
    module = name.partition(":")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    below = Path(*module.split("."))
    places = (Path(folder or ".") / below for folder in (".", *sys.path))
    files = (file for place in places for file in (place / "__init__.py", place.with_name(f"{place.name}.py")))
    return next((file.absolute() for file in files if file.is_file()), None)


def of(name: str) -> Code:
    """A callable with its digest as it is now. Raises DataError for a file that can't be read."""
    file = find(name)
    return Code(name, file_digest(file) if file else "")


def of_file(name: str, folder: Path) -> Code:
    """Code named by its file, relative to a folder (`~` and `${VARIABLES}` filled in). Raises as `of` does."""
    path = (folder / Path(os.path.expandvars(name.rpartition(":")[0])).expanduser()).absolute()
    return Code(name, file_digest(path) if path.is_file() else "", str(path))


def by_path(name: str) -> bool:
    """Whether code is named by its file."""
    return name.rpartition(":")[0].endswith(".py")


def known(trusted: Iterable[Code], name: str) -> Code | None:
    """Of what was trusted, the callable of a name."""
    return next((code for code in trusted if code.name == name), None)
