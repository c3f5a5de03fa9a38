"""Tests of the reading of weights that other programs wrote: wrapped, converted, damaged, or no weights at all."""

import argparse
import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.state_dicts import fill, to_bytes
from sweeper.trials.networks.weight_files import read_state_dict

State = Mapping[str, Tensor]


def network(classes: int = 10, seed: int = 0, width: int = 2) -> nn.Module:
    return build("resnet18k", {"width": width}, (1, 8, 8), classes, seed=seed)


def saved(value: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def prefixed(prefix: str, state: State) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "alone": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model with the arguments of a script": lambda state: {"model": state, "args": argparse.Namespace(lr=1)},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}, "lr": 1}},
    "a wrapper in a wrapper": lambda state: {"model": {"state_dict": state, "step": 1}},
    "any single state dict": lambda state: {"weights_of_mine": state, "epoch": 3},
    "averaged weights beside the others": lambda state: {"model_ema": prefixed("no.", state), "model": state},
    "averaged weights alone": lambda state: {"state_dict_ema": state},
    "module.": lambda state: prefixed("module.", state),
    "_orig_mod.": lambda state: prefixed("_orig_mod.", state),
    "module._orig_mod.": lambda state: {"state_dict": prefixed("module._orig_mod.", state)},
    "_orig_mod.module.": lambda state: prefixed("_orig_mod.module.", state),
    "_orig_mod inside": lambda state: {k.replace("block1.", "block1._orig_mod."): v for k, v in state.items()},
    "Lightning": lambda state: {"state_dict": {**prefixed("net.", state), "loss.weight": torch.ones(3)}},
    "without counts of batches": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_in_every_usual_wrapper(form: str, zipped: bool) -> None:
    original, other = network(seed=3), network(seed=4)
    fill(other, read_state_dict(saved(WRAPPED[form](original.state_dict()), zipped)))
    assert to_bytes(other) == to_bytes(original)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_types_are_converted(dtype: torch.dtype) -> None:
    original, other = network(seed=3), network(seed=4)
    converted = {k: v.to(dtype) if v.is_floating_point() else v for k, v in original.state_dict().items()}
    for content in (saved(converted), save(converted)):
        fill(other, read_state_dict(content))
        assert {tensor.dtype for tensor in other.parameters()} == {torch.float32}
        close = zip(original.parameters(), other.parameters(), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-2) for a, b in close)


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("code of a pickle was run",)


NOT_WEIGHTS: dict[str, tuple[Any, str]] = {
    "a whole network": (network(), "a whole pickled network of the class sweeper.trials.networks.archs.staged.Staged"),
    "a whole network of torch": (nn.Sequential(nn.Linear(2, 2)), "of the class torch.nn.modules.container.Sequential"),
    "a wrapped whole network": ({"model": network(), "epoch": 1}, "a whole pickled network of the class "),
    "an object with code": (Code(), "of the class"),
    "a list": ([1, 2], "not a state dict, but a list"),
    "a tensor": (torch.ones(2), "not a state dict, but a Tensor"),
    "an empty dictionary": ({}, "an empty dictionary"),
    "numbers": ({"epoch": 3, "loss": 0.5}, "a dictionary with epoch, loss, not a state dict"),
    "a number among tensors": ({"a.weight": torch.ones(2), "epoch": 3}, "'epoch' is a int"),
    "two networks": ({"generator": {"a": torch.ones(1)}, "critic": {"a": torch.ones(1)}}, "(generator, critic)"),
}


@pytest.mark.parametrize("name", NOT_WEIGHTS)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_content_is_refused_in_one_sentence(name: str, zipped: bool) -> None:
    value, what = NOT_WEIGHTS[name]
    with pytest.raises(NetworkError) as caught:
        read_state_dict(saved(value, zipped))
    # In files older than torch 1.6 a class is stored with its source, and is only named.
    assert what.removeprefix("a whole pickled network ") in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value), "the message says what would be right"


@pytest.mark.parametrize("content", [saved(network().state_dict()), saved(network().state_dict(), False)])
def test_an_incomplete_file_is_refused(content: bytes) -> None:
    for length in (3, 2000):
        with pytest.raises(NetworkError, match=r"copy the file again|not a state dict"):
            read_state_dict(content[:length])
    with pytest.raises(NetworkError, match=r"damaged: .*copy the file again"):
        read_state_dict(to_bytes(network())[:-1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("name", ["stages.conv1.weight", "stages.linear.bias"])
def test_weights_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    state = network().double().state_dict()
    state[name].view(-1)[0] = value
    with pytest.raises(NetworkError, match=f"in {name} 1 of [0-9]+ values are not finite numbers"):
        fill(network(), state)


def test_infinities_that_a_network_has_in_its_own_tables_stay() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))

    fill(Masked(), Masked().state_dict())
    with pytest.raises(NetworkError, match="in mask 1 of 4 values"):
        fill(Masked(), {"mask": torch.tensor([[0.0, -torch.inf], [torch.inf, 0.0]])})


def test_quantised_weights_are_refused() -> None:
    state = {name: (10 * tensor).to(torch.int8) for name, tensor in network().state_dict().items()}
    with pytest.raises(NetworkError, match=r"stages\.conv1\.weight holds int8, the network's weights are float32"):
        fill(network(), state)


def test_a_file_with_the_same_network_twice_is_refused() -> None:
    state = network().state_dict()
    with pytest.raises(NetworkError, match=r"several such networks \(student\., teacher\.\)"):
        fill(network(), prefixed("student.", state) | prefixed("teacher.", state))


def test_a_prefix_does_not_hide_which_names_and_shapes_differ() -> None:
    with pytest.raises(NetworkError, match="they have 1000 classes, the network has 10"):
        fill(network(), prefixed("module.", network(classes=1000).state_dict()))
    with pytest.raises(NetworkError, match=r"stages\.conv1\.weight is 3x1x3x3, the network's 2x1x3x3"):
        fill(network(), prefixed("module.", network(width=3).state_dict()))
