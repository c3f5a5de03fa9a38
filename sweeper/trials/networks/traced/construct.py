"""Networks by name: `torchvision:NAME`, `timm:NAME` and, where the user trusts it, code of the user's own.

Nothing is downloaded unless a published set of weights is named. Weights are read as safetensors or by torch's
loader of plain tensors, never by a pickle that could run code.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sweeper.errors import NetworkError, UsageError
from sweeper.files import expand_user
from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.shapes import format_shape
from sweeper.spec.records.task import Options
from sweeper.spec.user_code import imported
from sweeper.spec.user_code.code import find_module, is_file_name
from sweeper.trials.networks.state_dicts import fill
from sweeper.trials.networks.traced.layouts import WITH_AUXILIARY, as_library_reads, remove_auxiliary_heads
from sweeper.trials.networks.traced.libraries import check_network_name, import_timm
from sweeper.trials.networks.traced.published import find_published
from sweeper.trials.networks.traced.trace import reason
from sweeper.trials.networks.traced.user_network import build_user_network, checked_network
from sweeper.trials.networks.weight_files import read_state_dict

NONE = "none"  # the weights of a random initialisation


def make(
    name: str,
    image: Shape,
    classes: int,
    weights: str = NONE,
    seed: int = 0,
    trust: bool = False,
    options: Options = (),
    new_head: bool = False,
) -> nn.Module:
    """Build an external network with weights, float32 on the CPU; torch's global generator is left unchanged.

    Args:
        name: `torchvision:NAME`, `timm:NAME`, `path/to/file.py:NAME` or `package.module:callable`.
        image: The shape of an image (channels, height, width).
        classes: The number of classes.
        weights: A published set of weights, a file (.safetensors, or a state dict that torch saved), or `none`.
        seed: The seed of weights that aren't loaded.
        trust: True allows user code to run.
        options: The settings of a network in a user's file, all of them.
        new_head: True keeps the random weights of the head, so that the file's may have other classes.

    Raises:
        UsageError: If the name is unknown, or the user code isn't trusted.
        NetworkError: If the network can't be built or its weights don't fit.
    """
    maker, _, location = name.partition(":")
    if maker not in _MAKERS and not trust:
        raise UsageError(f"{name} runs code that is not part of Sweeper; --trust allows it")
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the generators of GPUs, which are not forked here.
        torch.default_generator.manual_seed(seed)
        network = (
            _MAKERS[maker](location, image, classes)
            if maker in _MAKERS
            else build_user_network(name, image, classes, options)
            if is_file_name(name)
            else _user_network(maker, location, image, classes)
        )
        _initialise_lazy_layers(name, network, image)
    if weights != NONE:
        state = _weights(name, weights, classes, new_head)
        try:
            fill(network, as_library_reads(name, network, state, new_head), new_head)
        except NetworkError as error:
            raise NetworkError(f"{name} with {weights}: {error}") from None
    return network.float()


def _torchvision(name: str, image: Shape, classes: int) -> nn.Module:
    from torchvision import models

    check_network_name("torchvision", name, models.list_models(module=models))
    settings: dict[str, Any] = {"num_classes": classes}
    if name.startswith("vit_"):
        settings["image_size"] = image[1]
    if name.startswith("maxvit_"):
        settings["input_size"] = image[1:]
    if name in ("googlenet", "inception_v3"):
        settings["init_weights"] = True  # the present default, set to silence the warning that it will change
    network = _call(f"torchvision:{name}", lambda: models.get_model(name, weights=None, **settings))
    if name in WITH_AUXILIARY:
        remove_auxiliary_heads(network)  # after the weights are drawn, which depend on the layers drawn before them
    return network


def _timm(name: str, image: Shape, classes: int) -> nn.Module:
    timm = import_timm()
    check_network_name("timm", name.partition(".")[0], timm.list_models())

    def build() -> nn.Module:
        settings = {"pretrained": False, "num_classes": classes, "in_chans": image[0]}
        try:
            return timm.create_model(name, **settings, img_size=image[1:])
        except TypeError:  # most networks accept images of any size and have no such parameter
            return timm.create_model(name, **settings)

    return _call(f"timm:{name}", build)


def _user_network(module: str, function: str, image: Shape, classes: int) -> nn.Module:
    """Call a user's function with those of the arguments `num_classes` and `image` that it has."""
    name = f"{module}:{function}"
    try:
        build = imported.import_from_module(name)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        file = find_module(name)
        if place := imported.place_in([file] if file else [], error):
            raise UsageError(f"{place}: {imported.exception_text(error)}") from error
        raise UsageError(f"no network {name!r}: {error}") from error
    arguments = {"num_classes": classes, "image": image}
    parameters = inspect.signature(build).parameters
    return checked_network(
        name, _call(name, lambda: build(**{key: value for key, value in arguments.items() if key in parameters}))
    )


def _initialise_lazy_layers(name: str, network: nn.Module, image: Shape) -> None:
    """Give layers such as `nn.LazyLinear` their shapes and weights: pass an image of zeros through the network."""
    if not any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
        return
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *image))
    except Exception as error:  # whatever the network's own code raises
        raise NetworkError(
            f"{name} has lazy layers, and no image of {format_shape(image)} can pass through it: {reason(error)}"
        ) from error
    unused = [path for path, weights in network.named_parameters() if is_lazy(weights)]
    if unused:
        raise NetworkError(f"{name} has lazy layers that no image passes through ({', '.join(unused)}); remove them")
    network.train(training)


_MAKERS: Mapping[str, Callable[[str, Shape, int], nn.Module]] = {"torchvision": _torchvision, "timm": _timm}


def _call(name: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except Exception as error:  # whatever the network's own code raises
        raise NetworkError(f"{name} can't be made: {reason(error)}") from error


def _weights(name: str, weights: str, classes: int, new_head: bool) -> Mapping[str, Tensor]:
    """Return the state dict of a file, or of a published set of weights."""
    path = expand_user(weights)
    if path.suffix or path.exists():
        return _read_file(path)
    published = find_published(name, weights)
    if not new_head:
        published.check_classes(classes)
    return _read_file(published.fetch())


def _read_file(path: Path) -> Mapping[str, Tensor]:
    try:
        return read_state_dict(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"no file {path}") from None
    except NetworkError as error:
        raise NetworkError(f"{path} is {error}") from None
