"""Cards of external networks (of torchvision, timm, or a user's module), measured once with torch and cached.

`torchvision:resnet18` names one. Its cuts and costs are measured for one shape of images and one number of classes at a
time, those of a network in a user's file also for one setting of its arguments. The cards lie in the user's cache
folder, under names that change with the version of the library or with the user's code. A resolved job carries the
cards that it needs.
"""

import json
import shlex
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper.files import cache_folder, read_cached_text, write_cached_text
from sweeper.spec.cards.card import Cut, NetworkLayout, Shape
from sweeper.spec.cards.shapes import format_shape
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import Options
from sweeper.spec.user_code import code

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, slots=True)
class Probed:
    """The card of an external network, for images of one shape."""

    name: str  # in rows: a network in a user's file has its version there
    shape: Shape
    classes: int
    network: NetworkLayout
    options: Options = ()


@dataclass(frozen=True, slots=True)
class UserNetworkSettings:
    """A network in a user's file with the settings and the input for which a card is needed."""

    name: str  # in rows
    where: str  # the path of its file and its name there
    code_digest: str
    options: Options
    shape: Shape
    classes: int


def is_external(name: str) -> bool:
    """Return True if a name is that of an external network, in a job or in rows.

    It is `library:name`, `package.module:callable`, `path/to/file.py:NAME`, or `NAME@VERSION` for the latter in rows.
    """
    return ":" in name or "@" in name


def is_user_code(name: str) -> bool:
    """Return True if a user's code makes the network (not torchvision or timm)."""
    return is_external(name) and name.partition(":")[0] not in LIBRARIES


def measuring_command(
    name: str, shape: Shape | None, classes: int, weights: str = "", options: Options = (), new_head: bool = False
) -> str:
    """Return the shell command that measures a network's card.

    Args:
        name: The network.
        shape: The shape of its images; None if the description of the weights says it.
        classes: The number of its outputs.
        weights: A published set of weights, which the command fetches; "" for none.
        options: The settings of a network in a user's file.
        new_head: True leaves out the last layer of the weights.
    """
    settings = "".join(f" {shlex.quote(f'{key}={as_text(value)}')}" for key, value in options)
    weights_option = f" --weights {shlex.quote(weights)}" + " --new-head" * new_head if weights else ""
    trust_option = " --trust" if is_user_code(name) else ""
    input_options = (f"--image {format_shape(shape)} " if shape else "") + f"--classes {classes}"
    return f"sweeper cuts {shlex.quote(name)}{settings} {input_options}{weights_option}{trust_option}"


def as_text(value: bool | int | float | str) -> str:
    """Return the value of a setting as YAML text, from which it is read again with the same type."""
    return json.dumps(value) if not isinstance(value, str) or _reads_as_other_type(value) else value


def _reads_as_other_type(text: str) -> bool:
    return not text or not text[0].isalpha() or text.lower() in ("true", "false", "null", "inf", "nan")


def read_cached_card(
    name: str, shape: Shape, classes: int, options: Options = (), code_digest: str = ""
) -> Probed | None:
    """Return a network's card from the cache folder; None if it isn't there.

    Args:
        name: The network's name in rows.
        shape: The shape of an image.
        classes: The number of outputs.
        options: The settings of a network in a user's file, all of them.
        code_digest: The digest of its code.
    """
    try:
        raw = json.loads(read_cached_text(_file(Probed(name, shape, classes, _NO_LAYOUT, options), code_digest)))
        cuts = tuple(Cut(**{**cut, "shape": tuple(cut["shape"])}) for cut in raw["cuts"])
        layout = NetworkLayout(cuts, raw["flops"], raw["parameters"], raw["trainable"])
        return Probed(name, shape, classes, layout, options)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def cache_card(card: Probed, code_digest: str = "") -> None:
    """Write a card to the cache folder, atomically.

    Args:
        card: The card.
        code_digest: The digest of the code of a network in a user's file.

    Raises:
        OSError: If the folder can't be written.
    """
    write_cached_text(_file(card, code_digest), json.dumps(asdict(card.network)))


_NO_LAYOUT = NetworkLayout((), 0, 0)


def _file(card: Probed, code_digest: str) -> Path:
    maker = code_digest or maker_version(card.name)
    key = json.dumps([card.name, list(card.shape), card.classes, maker, *([card.options] if card.options else [])])
    return cache_folder() / "networks" / f"{digest(key.encode())[:32]}.json"


def maker_version(name: str) -> str:
    """Return the version of what makes a network: a library's, or the digest of a user's code; "" if unknown."""
    if code.is_file_name(name):
        return code.hash_network(name, Path()).digest
    return code.hash_module(name).digest if is_user_code(name) else _version(name.partition(":")[0])


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
