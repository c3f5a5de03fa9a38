"""Cards of external networks (of torchvision, timm, or a user's module), measured once with torch and cached.

`torchvision:resnet18` names one. Its cuts and costs are measured for one shape of images and one number of classes at a
time. The cards lie in the user's cache folder, under names that change with the version of the library or with the
module's file. A resolved job carries the cards that it needs.
"""

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.files import cache_folder, write_atomically
from sweeper.spec.cards.card import Cut, NetworkLayout, Shape
from sweeper.spec.cards.shapes import format_shape
from sweeper.spec.user_code import code

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, slots=True)
class Probed:
    """The card of an external network, for images of one shape."""

    name: str
    shape: Shape
    classes: int
    network: NetworkLayout


def is_external(name: str) -> bool:
    """Return True if a name is that of an external network: `library:name` or `package.module:callable`."""
    return ":" in name


def is_user_code(name: str) -> bool:
    """Return True if a user's code makes the network (not torchvision or timm)."""
    return is_external(name) and name.partition(":")[0] not in LIBRARIES


def measuring_command(name: str, shape: Shape, classes: int, weights: str = "") -> str:
    """Return the shell command that measures a network's card; with `weights`, it also fetches those of torchvision."""
    weights_option = f" --weights {shlex.quote(weights)}" if weights else ""
    trust_option = " --trust" if is_user_code(name) else ""
    input_options = f"--image {format_shape(shape)} --classes {classes}"
    return f"sweeper cuts {shlex.quote(name)} {input_options}{weights_option}{trust_option}"


def read_cached_card(name: str, shape: Shape, classes: int) -> Probed | None:
    """Return a network's card from the cache folder; None if it isn't there."""
    try:
        raw = json.loads(_file(name, shape, classes).read_bytes())
        cuts = tuple(Cut(**{**cut, "shape": tuple(cut["shape"])}) for cut in raw["cuts"])
        return Probed(name, shape, classes, NetworkLayout(cuts, raw["flops"], raw["parameters"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def cache_card(card: Probed) -> None:
    """Write a card to the cache folder, atomically.

    Raises:
        OSError: If the folder can't be written.
    """
    target = _file(card.name, card.shape, card.classes)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, json.dumps(asdict(card.network)))


def _file(name: str, shape: Shape, classes: int) -> Path:
    key = json.dumps([name, list(shape), classes, maker_version(name)])
    return cache_folder() / "networks" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def maker_version(name: str) -> str:
    """Return the version of what makes a network: a library's, or the digest of a user's file; "" if unknown."""
    return code.hash_module(name).digest if is_user_code(name) else _version(name.partition(":")[0])


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
