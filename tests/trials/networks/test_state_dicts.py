"""Tests of weights as bytes: the same weights give the same bytes."""

import pytest
import torch
from safetensors import SafetensorError
from support.toy_archs import TINY

from sweeper.spec.cards.archs import ARCHS
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.state_dicts import from_bytes, to_bytes


@pytest.mark.parametrize("name", ARCHS)
def test_weights_and_norms_are_read_back_bit_for_bit(name: str) -> None:
    model = build(name, TINY[name], (1, 8, 8), 10, seed=3)
    model(torch.randn(9, 1, 8, 8))
    loaded = build(name, TINY[name], (1, 8, 8), 10, seed=4)
    loaded.load_state_dict(from_bytes(to_bytes(model)))
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), loaded.eval()(x))
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_bytes_depend_on_the_values_alone() -> None:
    model = build("resnet18k", {"width": 2}, (1, 8, 8), 10, seed=3)
    blob = to_bytes(model)
    assert to_bytes(build("resnet18k", {"width": 2}, (1, 8, 8), 10, seed=3)) == blob
    assert to_bytes(model.to(memory_format=torch.channels_last).eval().requires_grad_(False)) == blob
    model(torch.randn(9, 1, 8, 8))
    next(model.parameters()).data.view(-1)[0] += 1e-3
    assert to_bytes(model) != blob


def test_invalid_bytes_are_refused() -> None:
    blob = to_bytes(build("resnet18k", {"width": 2}, (1, 8, 8), 10))
    for invalid in (b"", b"weights", blob[:-1]):
        with pytest.raises(SafetensorError):
            from_bytes(invalid)
