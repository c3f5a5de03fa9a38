"""Trained weights that a job names: a file, or a published set by its name. Ids contain the digest of the file.

A set is one of torchvision's by its name, or `pretrained`, the default of torchvision or timm for a network.
`sweeper cuts NAME --weights SET` downloads a set and links its file into the cache folder. The link's name contains
the library's version, because a name such as DEFAULT may mean other weights in another version.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sweeper.errors import DataError
from sweeper.files import cache_folder, expand_user, read_cached_text, write_cached_text
from sweeper.spec.content.fingerprint import file_digest
from sweeper.spec.records.task import NetworkInput

NONE = "none"  # a random initialisation
PRETRAINED = "pretrained"  # the default set that a library publishes for a network
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pth.tar")
TORCHVISION = "torchvision:"
TIMM = "timm:"
_SET = re.compile(r"[A-Z][A-Z0-9_]*")  # torchvision's names of sets


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained weights that are available on this machine. `path` enters no id."""

    name: str  # their name in the job: the absolute path of a file, or a set
    arch: str  # the architecture of a set; "" for a file
    digest: str  # SHA-256 of the file's bytes
    path: str
    input: NetworkInput | None = None  # the images that they were trained on, if the weights describe them


def is_file(name: str) -> bool:
    """Return True if a name of weights is that of a file, by its suffix."""
    return name.endswith(SUFFIXES)


def is_set(name: str) -> bool:
    """Return True if a name is `pretrained` or has the form of torchvision's names; the set itself need not exist."""
    return name == PRETRAINED or bool(_SET.fullmatch(name))


def find_weights(name: str, arch: str) -> Weights | None:
    """Return the weights of a name for an architecture; None for a set that this machine doesn't have yet.

    Raises:
        DataError: The file can't be read, or it can't contain weights.
    """
    path = expand_user(name).absolute() if is_file(name) else set_file(name, arch)
    if not is_file(name) and not path.exists():
        return None
    if reason := file_misfit(path):
        raise DataError(reason)
    return Weights(name, "" if is_file(name) else arch, file_digest(path), str(path), described_input(name, arch))


def are_weights_here(name: str, arch: str) -> bool:
    """Return True if weights need not be fetched: they are those of a file, or of a set in the cache folder."""
    return is_file(name) or set_file(name, arch).exists()


def select_weights(available: Iterable[Weights], name: str, arch: str) -> Weights | None:
    """Return the weights with a name and an architecture among those available; None if there are none."""
    return next((weights for weights in available if weights.name == name and weights.arch in ("", arch)), None)


def set_file(name: str, arch: str) -> Path:
    """Return the path of a set in the cache folder."""
    try:
        release = version("timm" if arch.startswith(TIMM) else "torchvision")
    except PackageNotFoundError:
        release = "none"
    network = arch.removeprefix(TORCHVISION).replace(":", "-")
    return cache_folder() / "weights" / f"{network}-{name}-{release}.pth"


def keep_set(name: str, arch: str, file: Path, description: Mapping[str, Any] | None = None) -> None:
    """Link the file of a set into the cache folder, and write its description beside it.

    Raises:
        OSError: The cache folder can't be written.
    """
    target = set_file(name, arch)
    target.parent.mkdir(parents=True, exist_ok=True)
    if description is not None:
        write_cached_text(target.with_suffix(".json"), json.dumps(description))
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        link = Path(scratch) / target.name
        link.symlink_to(file.absolute())
        link.replace(target)


def described_input(name: str, arch: str, available: Iterable[Weights] = ()) -> NetworkInput | None:
    """Return the images that weights were trained on, as the weights themselves describe them; None if they don't.

    A set's description is kept with its link. That of a file is the `config.json` beside it, which timm writes.

    Args:
        name: The name of the weights.
        arch: The architecture of a set.
        available: Weights that a job carries, with their descriptions.
    """
    if weights := select_weights(available, name, arch):
        return weights.input
    if name == NONE:
        return None
    try:
        if not is_file(name):
            return _input_of(json.loads(read_cached_text(set_file(name, arch).with_suffix(".json"))))
        config = expand_user(name).with_name("config.json")
        return _input_of(json.loads(config.read_bytes())["pretrained_cfg"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _input_of(config: Mapping[str, Any]) -> NetworkInput:
    """Return the images of a description in timm's form (`input_size`, `mean`, `std`, `interpolation`)."""
    _, height, width = config["input_size"]
    mean, std = (tuple(map(float, config[name])) for name in ("mean", "std"))
    interpolation = "bicubic" if config.get("interpolation") == "bicubic" else "bilinear"
    return NetworkInput((int(height), int(width)), mean, std, interpolation)


def file_misfit(path: Path) -> str:
    """Return the reason why a file can't contain a state dict, by its first bytes; "" if it may."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    # A safetensors file starts with eight bytes, the length of a JSON header, and that header.
    tensors = start[8:] == b"{" and 8 + int.from_bytes(start[:8], "little") <= path.stat().st_size
    pickled = start.startswith((b"PK", b"\x80"))  # torch saves a zip file; before torch 1.6 a plain pickle
    if tensors or pickled:
        return ""
    if start.startswith(b"version h"):
        return f"{path} is a pointer of Git LFS, not the file itself; `git lfs pull` fetches it"
    return f"{path} is not a " + (
        "safetensors file" if path.suffix == ".safetensors" else "state dict that torch saved"
    )
