"""Trained weights that a job names: a file, or a set of torchvision's by its name. Their content is what they are.

A set becomes a file once: whoever has torch links it into the cache folder (`sweeper cuts NAME --weights SET`), under
a name that changes with torchvision's version, for a name such as DEFAULT means another set in another version.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import cache_folder, file_digest

NONE = "none"  # a random initialisation
SUFFIXES = (".safetensors", ".pt", ".pth")
TORCHVISION = "torchvision:"
_SET = re.compile(r"[A-Z][A-Z0-9_]*")  # as torchvision names its sets


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that were found. `path` is in no id."""

    name: str  # as the job names them: the absolute path of a file, or a set
    arch: str  # whose set it is; "" for a file
    digest: str  # SHA-256 of the file's bytes
    path: str


def is_file(name: str) -> bool:
    """Whether weights are named by a file, which its suffix says."""
    return name.endswith(SUFFIXES)


def is_set(name: str) -> bool:
    """Whether a name may be one of a set of torchvision's weights; only torchvision knows whether it is."""
    return bool(_SET.fullmatch(name))


def find(name: str, arch: str) -> Weights | None:
    """The weights of a name, for an architecture; None for a set that this machine doesn't have yet.

    Raises DataError for a file that can't be read, or that can't hold weights.
    """
    path = Path(name).expanduser().absolute() if is_file(name) else set_file(name, arch)
    if not is_file(name) and not path.exists():
        return None
    if reason := misfit(path):
        raise DataError(reason)
    return Weights(name, "" if is_file(name) else arch, file_digest(path), str(path))


def known(found: Iterable[Weights], name: str, arch: str) -> Weights | None:
    """Of weights that were found, those of a name, for an architecture."""
    return next((each for each in found if each.name == name and each.arch in ("", arch)), None)


def set_file(name: str, arch: str) -> Path:
    """Where a set lies once this machine has it."""
    try:
        release = version("torchvision")
    except PackageNotFoundError:
        release = "none"
    return cache_folder() / "weights" / f"{arch.removeprefix(TORCHVISION)}-{name}-{release}.pth"


def keep_set(name: str, arch: str, file: Path) -> None:
    """Makes a set known on this machine: links its file into the cache folder. Raises OSError where it can't."""
    target = set_file(name, arch)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        link = Path(scratch) / target.name
        link.symlink_to(file.absolute())
        link.replace(target)


def misfit(path: Path) -> str:
    """Why a file can't hold a state dict, as far as its first bytes tell; "" where it may."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    if path.suffix == ".safetensors":
        # Eight bytes, the length of a header in JSON, and then that.
        whole = 8 + int.from_bytes(start[:8], "little") <= path.stat().st_size and start[8:] == b"{"
        return "" if whole else f"{path} is not a safetensors file"
    pickled = start.startswith((b"PK", b"\x80"))  # a zip file; before torch 1.6 a bare pickle
    return "" if pickled else f"{path} is not a state dict that torch saved"
