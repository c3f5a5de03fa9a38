"""Networks from elsewhere: their cards are not written but probed, once, by whoever has torch, and kept.

`torchvision:resnet18` names one; where it can be cut, and what that costs, is known for one shape of images and one
number of classes at a time. Cards lie in the user's cache folder, under names that change with the version of the
library, or with the module's file; a resolved job carries those that it needs.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.errors import NetworkError
from sweeper.spec import code
from sweeper.spec.fingerprint import cache_folder

from .card import Cut, Network, Shape
from .shapes import show

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, slots=True)
class Probed:
    """The card of a network from elsewhere, for images of one shape."""

    name: str
    shape: Shape
    classes: int
    network: Network


_networks: dict[tuple[str, Shape, int], Network] = {}


def is_external(name: str) -> bool:
    """Whether a name is one of a network from elsewhere: of a library, or `package.module:callable`."""
    return ":" in name


def is_user_code(name: str) -> bool:
    """Whether a network is made by code of the user's."""
    return is_external(name) and name.partition(":")[0] not in LIBRARIES


def command(name: str, shape: Shape, classes: int, weights: str = "") -> str:
    """What learns a card, and has a set of weights of torchvision's where one is named."""
    having = f" --weights {weights}" if weights else ""
    trusting = " --trust" if is_user_code(name) else ""
    return f"sweeper cuts {name} --image {show(shape)} --classes {classes}{having}{trusting}"


def network(name: str, shape: Shape, classes: int) -> Network:
    """The card that was learnt in this process. Raises NetworkError, which says how to learn it, where none was."""
    found = _networks.get((name, tuple(shape), classes))
    if found is None:
        raise NetworkError(f"the cuts of {name} are not known yet: `{command(name, shape, classes)}` learns them")
    return found


def register_card(card: Probed) -> None:
    """Makes a card known in this process."""
    _networks[card.name, tuple(card.shape), card.classes] = card.network


def recall(name: str, shape: Shape, classes: int) -> Probed | None:
    """The card that this process knows, or the one in the cache folder; None where there is none, or none that can be
    read."""
    found = _networks.get((name, tuple(shape), classes))
    if found and not is_user_code(name):  # a user's module may have changed since
        return Probed(name, shape, classes, found)
    try:
        raw = json.loads(_file(name, shape, classes).read_bytes())
        cuts = tuple(Cut(**{**cut, "shape": tuple(cut["shape"])}) for cut in raw["cuts"])
        return Probed(name, shape, classes, Network(cuts, raw["flops"], raw["parameters"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(card: Probed) -> None:
    """Writes a card to the cache folder, whole or not at all. Raises OSError where it can't."""
    target = _file(card.name, card.shape, card.classes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp", delete=False) as file:
        json.dump(asdict(card.network), file)
    Path(file.name).replace(target)


def _file(name: str, shape: Shape, classes: int) -> Path:
    made_by = code.of(name).digest if is_user_code(name) else _version(name.partition(":")[0])
    key = json.dumps([name, list(shape), classes, made_by])
    return cache_folder() / "networks" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
