"""The commands `schema` and `cuts`, and the probing of external networks that a job needs."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sweeper.errors import NetworkError, UsageError, did_you_mean

from . import show

if TYPE_CHECKING:
    from sweeper.spec.cards.card import NetworkLayout, Option, Shape
    from sweeper.spec.job.sweep import ResolvedSweep

Card = TypeVar("Card")


def print_schema(key: str | None = None) -> None:
    """Print the JSON Schema of a job file, or the description of one key."""
    from .schema import describe, job_schema

    if key is None:
        show.print_json(job_schema())
    else:
        show.data(describe(key))


@dataclass(frozen=True, slots=True)
class InputOptions:
    """The input that the options of `sweeper cuts` describe: a data set, an image shape, a number of classes."""

    dataset: str | None
    image: str | None
    classes: int | None

    def images(self, default: "tuple[Shape, int]") -> "tuple[Shape, int]":
        """Return the image shape (channels, height, width) and the number of classes.

        Args:
            default: The shape and the classes where no option gives them.

        Raises:
            UsageError: There is no such data set, or the shape is malformed.
        """
        from sweeper.spec.cards.datasets import DATASETS

        shape, classes = default
        if self.dataset is not None:
            images = _named("data set", self.dataset, DATASETS)
            shape, classes = images.shape, images.classes
        if self.image is not None:
            sides = self.image.split("x")
            if len(sides) != 3 or not all(side.isdecimal() and int(side) for side in sides):
                raise UsageError(f"--image {self.image!r}: give channels, height and width, such as 3x224x224")
            shape = tuple(map(int, sides))
        return shape, self.classes or classes


def print_cuts(
    model: str, overrides: Sequence[str], input: InputOptions, trust: bool, json: bool, weights: str | None = None
) -> None:
    """Print the cuts of an architecture: name, position, depth, activation shape, and FLOPs of the bottom."""
    if ":" in model:
        options, network = _probed(model, overrides, input, trust, weights)
    elif weights is None:
        options, network = _of_card(model, overrides, input)
    else:
        raise UsageError(f"--weights {weights}: the cuts of {model} don't depend on weights; leave the option out")
    rows = [
        {"name": cut.name, "position": cut.position, "depth": cut.depth, "shape": list(cut.shape), "cost": cut.flops}
        for cut in network.cuts
    ]
    if json:
        show.print_json({"model": model, "options": options, "cuts": rows})
    elif rows:
        show.print_columns(tuple(rows[0]), (list(row.values()) for row in rows), ("position", "depth", "cost"))
    else:
        show.say(f"{model} has no cuts: at no layer does a single tensor carry all information to the later layers")


Settings = dict[str, bool | int | float | str | None]


def _of_card(model: str, overrides: Sequence[str], input: InputOptions) -> "tuple[Settings, NetworkLayout]":
    """Return the options and the network of an architecture of Sweeper, from its card."""
    from sweeper.spec.cards.archs import ARCHS
    from sweeper.spec.cards.datasets import DATASETS

    arch = _named("architecture", model, ARCHS)
    digits = DATASETS["digits"]
    options = {name: option.default for name, option in arch.options.items()} | _options(arch.options, overrides)
    given = {name: value for name, value in options.items() if value is not None}
    shape, classes = input.images((digits.shape, digits.classes))
    if reason := arch.misfit(given, shape):
        raise UsageError(f"{model}: {reason}")
    return options, arch.network(given, shape, classes)


def _probed(
    model: str, overrides: Sequence[str], input: InputOptions, trust: bool, weights: str | None
) -> "tuple[Settings, NetworkLayout]":
    """Build, trace and probe an external network, and warn about modules that can't be traced."""
    if overrides:
        raise UsageError(f"{overrides[0]!r}: the external network {model} takes no settings")
    image, classes = input.images(((3, 224, 224), 1000))
    from sweeper.spec.cards.probed import Probed, cache_card
    from sweeper.spec.content.weights import NONE, is_set, keep_set
    from sweeper.trials.networks.traced.check_cuts import check_cuts
    from sweeper.trials.networks.traced.construct import make, set_path

    result = check_cuts(make(model, image, classes, weights or NONE, trust=trust), image)
    try:
        cache_card(Probed(model, image, classes, result.card))
        if weights and is_set(weights):
            keep_set(weights, model, set_path(model, weights))
    except OSError as error:
        show.warn(f"these cuts could not be saved for later jobs: {error}")
    for path, reason in result.untraceable.items():
        show.warn(f"there is no cut inside the module {path}: {reason}")
    if not result.exact:
        show.say("top(bottom(x)) equals the network within 1e-5 of two images' output difference, not bit for bit")
    return {}, result.card


def missing_commands(sweep: "ResolvedSweep") -> dict[str, str]:
    """Return for each network with unknown cuts or weights the shell command that finds them."""
    command_by_network: dict[str, str] = {}
    for name, command in _commands(sweep):
        earlier = command_by_network.get(name)
        command_by_network[name] = f"{earlier} && {command}" if earlier else command
    return command_by_network


def _commands(sweep: "ResolvedSweep") -> list[tuple[str, str]]:
    """Return pairs of a network and the command that probes it or downloads its weights; commands are distinct."""
    from sweeper.spec.cards.probed import command
    from sweeper.spec.job.resolve import missing_networks, missing_weights

    if (data := sweep.data) is None:
        return []
    sets = missing_weights(sweep, data)
    # The command that downloads weights also finds the cuts.
    with_weights = {(arch, classes) for _, arch, classes in sets}
    without_cuts = [network for network in missing_networks(sweep, data) if network not in with_weights]
    return [
        *((arch, command(arch, data.shape, classes, weights)) for weights, arch, classes in sets),
        *((arch, command(arch, data.shape, classes)) for arch, classes in without_cuts),
    ]


def fetched_by(command: str) -> str:
    """Return the kind of thing that a command of `missing_commands` fetches: "weights" or "cuts"."""
    return "weights" if " --weights " in command else "cuts"


def probe_missing(sweep: "ResolvedSweep") -> "ResolvedSweep":
    """Probe the networks and download the weights that a job needs, and return the job with them.

    Each command runs in a process of its own, so that the driver never imports torch.

    Raises:
        NetworkError: A network can't be built, traced or cut.
    """
    from sweeper.spec.job.resolve import resolve

    for name, command in _commands(sweep):
        show.say(f"finding the {fetched_by(command)} of {name}")
        done = subprocess.run([sys.executable, "-m", *command.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NetworkError(done.stderr.replace("error: ", "").strip())
    return resolve(sweep)


def _options(known: "Mapping[str, Option]", overrides: Sequence[str]) -> dict[str, bool | int | float | str]:
    chosen: dict[str, bool | int | float | str] = {}
    for override in overrides:
        name, separator, text = override.partition("=")
        if not separator or name not in known:
            raise UsageError(f"{override!r}: give KEY=VALUE; settings: {', '.join(known)}")
        try:
            chosen[name] = text == "true" if known[name].type is bool else known[name].type(text)
        except ValueError:
            raise UsageError(f"{override!r}: {name} takes a {known[name].type.__name__}") from None
    return chosen


def _named(what: str, name: str, cards: Mapping[str, Card]) -> Card:
    if name in cards:
        return cards[name]
    raise UsageError(f"no {what} {name!r}; {did_you_mean(name, cards) or 'available: ' + ', '.join(cards)}")
