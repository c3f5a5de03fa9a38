"""The commands `schema` and `cuts`, and the probing of external networks that a job needs."""

import json as json_writer
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sweeper.errors import NetworkError, UsageError, did_you_mean

from . import show

if TYPE_CHECKING:
    from sweeper.spec.cards.card import NetworkLayout, Option, Shape
    from sweeper.spec.cards.probed import UserNetworkSettings
    from sweeper.spec.cards.user_networks import UserNetwork
    from sweeper.spec.job.resolve import MissingNetwork, MissingWeights
    from sweeper.spec.job.sweep import PartlyResolvedSweep, ResolvedSweep
    from sweeper.spec.records.task import Data, Options

Card = TypeVar("Card")


def print_schema(key: str | None = None) -> None:
    """Print the JSON Schema of a job file, or the description of one key."""
    from .schema import describe, job_schema

    if key is None:
        show.print_json(job_schema())
    else:
        show.write(describe(key))


@dataclass(frozen=True, slots=True)
class InputOptions:
    """The options of `sweeper cuts` that give the shape of an image and the number of classes."""

    dataset: str | None
    image: str | None
    classes: int | None

    def images(self, default: "tuple[Shape, int]") -> "tuple[Shape, int]":
        """Return the image shape (channels, height, width) and the number of classes.

        Args:
            default: The shape and the number of classes to use if no option gives them.

        Raises:
            UsageError: There is no such data set, or the shape is malformed.
        """
        from sweeper.spec.cards.datasets import DATASETS

        shape, classes = default
        if self.dataset is not None:
            images = _card_named("data set", self.dataset, DATASETS)
            shape, classes = images.shape, images.classes
        if self.image is not None:
            sides = self.image.split("x")
            if len(sides) != 3 or not all(side.isdecimal() and int(side) for side in sides):
                raise UsageError(f"--image {self.image!r}: give channels x height x width, such as 3x224x224")
            shape = tuple(map(int, sides))
        return shape, self.classes or classes


@dataclass(frozen=True, slots=True)
class WeightOptions:
    """The options of `sweeper cuts` that name weights."""

    name: str | None  # a file or a published set; None for random weights
    new_head: bool  # True leaves their last layer out


def print_cuts(
    model: str,
    overrides: Sequence[str],
    input: InputOptions,
    trust: bool,
    json: bool,
    weights: "WeightOptions",
) -> None:
    """Print the cuts of an architecture: the fields of `Cut`; cost is the FLOPs of the bottom.

    Args:
        model: The name of an architecture of Sweeper, or of an external network (its name contains a colon).
        overrides: Settings of the architecture, of the form KEY=VALUE.
        input: The input of the network.
        trust: True allows importing the user's code.
        json: True prints JSON instead of columns.
        weights: The weights of an external network.

    Raises:
        UsageError: The name, a setting or the input is wrong, or the user's code is not trusted.
        NetworkError: The external network can't be built, traced or cut.
    """
    if ":" in model:
        options, network = _probe_network(model, overrides, input, trust, weights)
    elif weights.name is None:
        options, network = _builtin_network(model, overrides, input)
    else:
        raise UsageError(f"--weights {weights.name}: the cuts of {model} don't depend on weights; leave the option out")
    rows = [
        {
            "name": cut.name,
            "position": cut.position,
            "depth": cut.depth,
            "shape": list(cut.shape),
            "cost": cut.flops,
            "affine_top": cut.affine_top,
            "same_as": cut.same_as,
        }
        for cut in network.cuts
    ]
    if json:
        show.print_json({"model": model, "options": options, "cuts": rows})
    elif rows:
        show.print_columns(tuple(rows[0]), (list(row.values()) for row in rows), ("position", "depth", "cost"))
    else:
        show.say(f"{model} has no cuts: at no layer does a single tensor carry all information to the later layers")


Settings = dict[str, bool | int | float | str | None]


def _builtin_network(model: str, overrides: Sequence[str], input: InputOptions) -> "tuple[Settings, NetworkLayout]":
    """Return the options and the network of an architecture of Sweeper, from its card."""
    from sweeper.spec.cards.archs import ARCHS
    from sweeper.spec.cards.datasets import DATASETS

    arch = _card_named("architecture", model, ARCHS)
    digits = DATASETS["digits"]
    options = {name: option.default for name, option in arch.options.items()} | _options(arch.options, overrides)
    settings = {name: value for name, value in options.items() if value is not None}
    shape, classes = input.images((digits.shape, digits.classes))
    if reason := arch.misfit(settings, shape):
        raise UsageError(f"{model}: {reason}")
    return options, arch.network(settings, shape, classes)


def _probe_network(
    model: str, overrides: Sequence[str], input: InputOptions, trust: bool, weights: WeightOptions
) -> "tuple[Settings, NetworkLayout]":
    """Build, trace and probe an external network, and warn about modules that can't be traced."""
    from sweeper.spec.user_code.code import is_file_name

    if overrides and not is_file_name(model):
        raise UsageError(f"{overrides[0]!r}: {_without_settings(model)}")
    user_network, code_digest = _read_user_network(model, trust) if is_file_name(model) else (None, "")
    options = _user_options(user_network, overrides) if user_network else ()
    builder, name = (user_network.where, user_network.card) if user_network else (model, model)
    from sweeper.spec.cards.probed import Probed, cache_card
    from sweeper.spec.content.weights import NONE, is_set, keep_set
    from sweeper.trials.networks.traced.check_cuts import check_cuts
    from sweeper.trials.networks.traced.construct import make
    from sweeper.trials.networks.traced.published import find_published

    with show.prints_on_stderr():
        published = find_published(model, weights.name) if weights.name and is_set(weights.name) else None
        size = tuple(published.images["input_size"]) if published else (3, 224, 224)
        image, classes = input.images((size, 1000))
        if published and not weights.new_head:
            published.check_classes(classes)
        file = str(published.fetch()) if published else weights.name or NONE
        network = make(builder, image, classes, file, trust=trust, options=options, new_head=weights.new_head)
        result = check_cuts(network, image, classes)
    try:
        cache_card(Probed(name, image, classes, result.card, options), code_digest)
        if published and weights.name:
            keep_set(weights.name, model, Path(file), published.images)
    except OSError as error:
        show.warn(f"these cuts could not be saved for later jobs: {error}")
    for path, reason in result.untraceable.items():
        show.warn(f"there is no cut inside the module {path}: {reason}")
    if not result.exact:
        show.say(
            "the bottom followed by the top returns the network's output up to rounding: the largest error is below "
            "1e-5 times the difference between the outputs for two images"
        )
    return dict(options), result.card


def _without_settings(model: str) -> str:
    from sweeper.spec.cards.probed import is_user_code

    file = f"{model.partition(':')[0].replace('.', '/')}.py:{model.partition(':')[2]}"
    hint = f"; name its file, such as {file}, to set its arguments" if is_user_code(model) else ""
    return f"the external network {model} takes no settings{hint}"


def _read_user_network(model: str, trust: bool) -> "tuple[UserNetwork, str]":
    """Return a network in a user's file, with its arguments, and the digest of its code.

    Raises:
        UsageError: There is no such file, or its code isn't trusted or can't be imported.
    """
    from sweeper.spec.job.signatures import read_signature
    from sweeper.spec.user_code.code import hash_network

    if not trust:
        raise UsageError(f"{model} runs code that is not part of Sweeper; --trust allows it")
    code = hash_network(model, Path())
    if not code.digest:
        raise UsageError(f"no file {code.path}")
    return read_signature(code), code.digest


def _user_options(network: "UserNetwork", overrides: Sequence[str]) -> "Options":
    """Return all settings of a network in a user's file; overrides have the form KEY=VALUE, with values as in a job."""
    from sweeper.spec.job.source import parse_value

    settings: dict[str, bool | int | float | str] = {}
    for override in overrides:
        name, separator, text = override.partition("=")
        value = parse_value(text, override).plain() if separator else None
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"{override!r}: give KEY=VALUE; settings: {', '.join(network.settings) or 'none'}")
        settings[name] = value
    if mistakes := network.problems(settings):
        raise UsageError("\n".join(f"{problem}; {correction}" for _, problem, correction in mistakes))
    return network.complete(settings)


def missing_commands(sweep: "ResolvedSweep") -> dict[str, str]:
    """Return the shell command for each network (by name) whose cuts or weights are not known yet, which finds them."""
    from sweeper.spec.job.resolve import missing_networks

    command_by_network: dict[str, str] = {}
    for name, command in _commands(sweep, sweep.data, missing_networks(sweep, sweep.data)):
        earlier_commands = command_by_network.get(name)
        command_by_network[name] = f"{earlier_commands} && {command}" if earlier_commands else command
    return command_by_network


def _commands(
    sweep: "PartlyResolvedSweep", data: "Data", networks: "Sequence[MissingNetwork]"
) -> list[tuple[str, str]]:
    """Return distinct pairs of a network and the command that probes it or downloads its weights.

    Args:
        sweep: The job.
        data: Its data set.
        networks: The networks without a card in the job.
    """
    weight_sets = _weights_to_download(sweep, data)
    # The command that downloads weights also finds the cuts.
    with_weights = {lacking[1:4] for lacking in weight_sets}
    without_cuts = [network for network in networks if network[:3] not in with_weights]
    return [
        *((lacking.arch, _download_command(lacking)) for lacking in weight_sets),
        *((network[0], _command(sweep, network)) for network in without_cuts),
    ]


def _weights_to_download(sweep: "PartlyResolvedSweep", data: "Data") -> "list[MissingWeights]":
    """Return the weights of a job that this machine doesn't have."""
    from sweeper.spec.content.weights import are_weights_here
    from sweeper.spec.job.resolve import missing_weights

    return [lacking for lacking in missing_weights(sweep, data) if not are_weights_here(lacking.name, lacking.arch)]


def _download_command(weights: "MissingWeights") -> str:
    """Return the shell command that downloads weights."""
    from sweeper.spec.cards.probed import measuring_command

    return measuring_command(*weights[1:4], weights.name, new_head=weights.new_head)


def _command(sweep: "PartlyResolvedSweep", network: "MissingNetwork") -> str:
    """Return the shell command that measures the card of a network of a job."""
    from sweeper.spec.cards.probed import measuring_command

    arch, shape, classes, options = network
    places = {user_network.name: user_network.where for user_network in sweep.user_networks}
    return measuring_command(places.get(arch, arch), shape, classes, options=options)


def kind_fetched_by(command: str) -> str:
    """Return the kind of data that a command of `missing_commands` fetches: "weights" or "cuts"."""
    return "weights" if " --weights " in command else "cuts"


def fetch(sweep: "PartlyResolvedSweep", data: "Data") -> bool:
    """Probe the networks and download the weights that a job needs; return True if any were needed.

    Each command runs in a process of its own, so that the driver never imports torch. The results are in the cache
    folder.

    Args:
        sweep: The job, with the cards that the cache folder has.
        data: Its data set.

    Raises:
        NetworkError: A network can't be built, traced or cut.
    """
    from sweeper.spec.job.resolve import missing_networks

    networks = missing_networks(sweep, data)
    commands = _commands(sweep, data, networks)
    user_networks = _settings_to_probe(sweep, networks)
    for name, command in commands:
        if name not in user_networks:
            show.say(f"finding the {kind_fetched_by(command)} of {name}")
            _call(name, command, data)
    for name, settings in user_networks.items():
        show.say(f"finding the cuts of {name} (settings: {len(settings)})")
        _probe_settings(name, settings, data)
    return bool(commands)


PROBE_SECONDS = 8.0  # of all networks of a job, in `sweeper plan`


def probe_networks(sweep: "PartlyResolvedSweep", data: "Data") -> bool:
    """Probe the networks that a job needs, as `fetch` does, without downloads and for a few seconds at most.

    Published weights are fetched here only where their server doesn't answer: the library's own cache may have them,
    otherwise the job can't run.

    Args:
        sweep: The job, with the cards that the cache folder has.
        data: Its data set.

    Raises:
        NetworkError: A network can't be built, traced or cut, or its weights can't be downloaded.
    """
    from sweeper.spec.content.downloads import can_reach_weights
    from sweeper.spec.job.resolve import missing_networks, with_cached_cards

    unreachable = [weights for weights in _weights_to_download(sweep, data) if not can_reach_weights(weights.arch)]
    for weights in unreachable:
        _call(weights.arch, _download_command(weights), data)
    if unreachable:  # these commands have found cuts, too
        sweep = with_cached_cards(sweep, data)
    networks, end = missing_networks(sweep, data), time.monotonic() + PROBE_SECONDS
    user_networks = _settings_to_probe(sweep, networks)
    for name in dict.fromkeys(network[0] for network in networks):
        if (seconds := end - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):  # its cuts stay unknown
                if name in user_networks:
                    _probe_settings(name, user_networks[name], data, seconds)
                else:
                    for network in (network for network in networks if network[0] == name):
                        _call(name, _command(sweep, network), data, max(0.0, end - time.monotonic()))
    return bool(networks)


def _settings_to_probe(
    sweep: "PartlyResolvedSweep", networks: "Sequence[MissingNetwork]"
) -> "dict[str, list[UserNetworkSettings]]":
    """Return the settings without a card of each network in a user's file, by its name in the job.

    Args:
        sweep: The job.
        networks: The networks without a card in the job.
    """
    from sweeper.spec.cards.probed import UserNetworkSettings

    user_networks = {network.name: network for network in sweep.user_networks}
    digests = {code.name: code.digest for code in sweep.code}
    settings: dict[str, list[UserNetworkSettings]] = {}
    for name, shape, classes, options in networks:
        if name in user_networks:
            card, where = user_networks[name].card, user_networks[name].where
            settings.setdefault(name, []).append(
                UserNetworkSettings(card, where, digests[name], options, shape, classes)
            )
    return settings


def _probe_settings(
    network: str, settings: "Sequence[UserNetworkSettings]", data: "Data", seconds: float | None = None
) -> None:
    """Probe a network in a user's file at several settings, in one process of its own; see `_call`."""
    module = "sweeper.trials.networks.traced.probe_settings"
    questions = json_writer.dumps([asdict(setting) for setting in settings])
    _run_probe(network, [module], data, seconds, questions)


def _call(network: str, command: str, data: "Data", seconds: float | None = None) -> None:
    """Run a command that probes a network, in a process of its own.

    Raises:
        NetworkError: The command failed.
        TimeoutExpired: It took longer than `seconds`.
    """
    _run_probe(network, shlex.split(command), data, seconds)


def _run_probe(network: str, arguments: Sequence[str], data: "Data", seconds: float | None, question: str = "") -> None:
    from sweeper.spec.user_code.processes import run_module

    probe = run_module(arguments, question, seconds)
    if probe.exit_code == 0:
        return
    ending = probe.last_line or f"`{shlex.join(arguments)}` ended with exit code {probe.exit_code}"
    problem = "; ".join(probe.errors or [ending])
    if data.shape[0] != 3 and "channels" in problem:
        problem += (
            f"; the data set's images have {data.shape[0]} channel(s): take an architecture of Sweeper or timm:NAME, "
            "which are built for them, or a function of your own that sets in_channels"
        )
    raise NetworkError(problem, network)


def _options(options: "Mapping[str, Option]", overrides: Sequence[str]) -> dict[str, bool | int | float | str]:
    """Parse overrides of the form KEY=VALUE into values of the options' types."""
    settings: dict[str, bool | int | float | str] = {}
    for override in overrides:
        name, separator, text = override.partition("=")
        if not separator:
            raise UsageError(f"{override!r}: give KEY=VALUE; settings: {', '.join(options)}")
        if name not in options:
            suggestion = did_you_mean(name, options) or f"its settings: {', '.join(options) or 'none'}"
            raise UsageError(f"{override!r}: there is no setting {name!r}; {suggestion}")
        try:
            settings[name] = text == "true" if options[name].type is bool else options[name].type(text)
        except ValueError:
            raise UsageError(f"{override!r}: {name} takes a {options[name].type.__name__}") from None
    return settings


def _card_named(kind: str, name: str, cards: Mapping[str, Card]) -> Card:
    if name in cards:
        return cards[name]
    raise UsageError(f"there is no {kind} {name!r}; {did_you_mean(name, cards) or 'available: ' + ', '.join(cards)}")
