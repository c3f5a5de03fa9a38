"""Tests of the layout of weights: fixed on a CPU and for deterministic packs, otherwise the faster one."""

import copy
from collections.abc import Iterator, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.other_device import DEVICE, simulated_device
from support.packs import ARCH
from support.training_runs import DIGITS
from torch import nn

from sweeper.trials.networks.archs import build
from sweeper.trials.process import memory_format
from sweeper.trials.process.memory_format import FIRST, LAST, faster_layout, to_fast_layout
from sweeper.trials.process.numerics import Numerics, apply_numerics

GPU, CPU = Numerics(DEVICE, deterministic=False), torch.device("cpu")
Times = Mapping[torch.memory_format, float]


@pytest.fixture(autouse=True)
def no_cached_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_format, "_chosen", {})


def timings(monkeypatch: pytest.MonkeyPatch, seconds: Times) -> list[torch.memory_format]:
    """Replace the measured seconds of each layout; return a list to which each timed layout is appended."""
    timed: list[torch.memory_format] = []

    def given_seconds(_: nn.Module, option: torch.memory_format, *__: object) -> float:
        timed.append(option)
        return seconds[option]

    monkeypatch.setattr(memory_format, "_seconds", given_seconds)
    return timed


def resnet(width: int = 8) -> nn.Module:
    return build("resnet18k", {"width": width}, DIGITS.shape, 10)


def is_last(module: nn.Module) -> bool:
    """Return whether the weights of all convolutions, for which the two layouts differ, have their channels last."""
    weights = [weights for weights in module.parameters() if weights.ndim == 4 and min(weights.shape[1:]) > 1]
    assert weights
    return all(w.is_contiguous(memory_format=LAST) and not w.is_contiguous() for w in weights)


@pytest.fixture
def other_device() -> Iterator[None]:
    """Simulate a device other than the CPU."""
    with simulated_device():
        yield


@given(st.floats(1e-6, 10), st.floats(1e-6, 10))
def test_channels_last_must_be_faster_by_more_than_the_timing_error(first: float, last: float) -> None:
    assert (faster_layout({FIRST: first, LAST: last}) is LAST) == (last < 0.95 * first)


def test_a_cpu_uses_channels_last_without_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = timings(monkeypatch, {FIRST: 1.0, LAST: 2.0})
    with apply_numerics(Numerics(CPU, deterministic=False)):
        assert is_last(to_fast_layout(resnet(), DIGITS.shape))
    assert not timed


@pytest.mark.parametrize("numerics", [Numerics(DEVICE), Numerics(DEVICE, bfloat16=True), None])
def test_deterministic_runs_do_not_choose_the_layout_by_timing(
    other_device: None, numerics: Numerics | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = timings(monkeypatch, {FIRST: 2.0, LAST: 1.0})
    network = resnet().to(DEVICE)
    if numerics is None:
        to_fast_layout(network, DIGITS.shape)
    else:
        with apply_numerics(numerics):
            to_fast_layout(network, DIGITS.shape)
    assert not is_last(network)
    assert not timed


@pytest.mark.parametrize(("seconds", "last"), [({FIRST: 2.0, LAST: 1.0}, True), ({FIRST: 1.0, LAST: 2.0}, False)])
def test_other_devices_time_the_layouts_once_for_each_kind_of_network(
    other_device: None, seconds: Times, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = timings(monkeypatch, seconds)
    with apply_numerics(GPU):
        for _ in range(2):
            assert is_last(to_fast_layout(resnet().to(DEVICE), DIGITS.shape)) is last
        assert timed == [FIRST, LAST]
        to_fast_layout(resnet().to(DEVICE).eval(), DIGITS.shape)
        to_fast_layout(resnet(16).to(DEVICE), DIGITS.shape)
    with apply_numerics(Numerics(DEVICE, bfloat16=True, deterministic=False)):
        to_fast_layout(resnet().to(DEVICE), DIGITS.shape)
    assert timed == [FIRST, LAST] * 4


def test_a_network_without_convolutions_is_not_timed(other_device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = timings(monkeypatch, {FIRST: 2.0, LAST: 1.0})
    with apply_numerics(GPU):
        to_fast_layout(build("mlp", dict(ARCH["mlp"]), DIGITS.shape, 10).to(DEVICE), DIGITS.shape)
    assert not timed


@pytest.mark.parametrize("frozen", [False, True])
def test_timing_changes_neither_weights_nor_running_averages_nor_random_numbers(
    other_device: None, frozen: bool
) -> None:
    network = nn.Sequential(resnet(), nn.Dropout())
    network = network.eval().requires_grad_(False) if frozen else network.train()
    original_state, generator_state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    with apply_numerics(GPU):
        to_fast_layout(network.to(DEVICE), DIGITS.shape)
    assert len(memory_format._chosen) == 1
    assert all(torch.equal(tensor.cpu(), original_state[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator_state)
    assert all(weights.grad is None for weights in network.parameters())
