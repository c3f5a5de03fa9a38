"""Tests of the detection of values that are not finite numbers, and of the messages that name them."""

import math

import pytest
import torch
from torch import nn

from sweeper.trials.networks.finite import (
    CheckedActivations,
    check_finite,
    check_parameters,
    check_weights,
    infinite_tables,
    named_in_errors,
    nonfinite_values,
)

VALUES = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_value_that_is_not_finite_is_counted(value: float, dtype: torch.dtype) -> None:
    x = torch.ones(3, 4, 5, dtype=dtype)
    x[1, 2, 3] = value
    kind = "NaN" if math.isnan(value) else "infinite"
    assert nonfinite_values({"x": x, "y": torch.zeros(2)}) == {"x": f"1 of 60 values are not finite numbers (1 {kind})"}


def test_infinities_of_both_signs_and_nan_are_counted_apart() -> None:
    x = torch.tensor([math.inf, -math.inf, math.nan, 1.0])
    assert nonfinite_values({"x": x}) == {"x": "3 of 4 values are not finite numbers (1 NaN and 2 infinite)"}


def test_finite_values_whose_sum_overflows_are_no_error() -> None:
    check_finite("x", torch.full((100,), 3e38))
    check_finite("x", torch.full((100,), 1e308, dtype=torch.float64))
    check_finite("an empty tensor", torch.ones(0, 3))
    check_finite("integers", torch.arange(3))


def test_only_the_activation_with_a_wrong_value_is_refused() -> None:
    by_cut = CheckedActivations("A", {"early": torch.ones(2), "late": torch.tensor([1.0, math.nan])})
    assert list(by_cut) == ["early", "late"]
    assert torch.equal(by_cut["early"], torch.ones(2))
    with pytest.raises(FloatingPointError, match=r"^the activation of A at late: 1 of 2 values .*\(1 NaN\)$"):
        by_cut["late"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", ["weight", "running_var"])
def test_a_weight_or_statistic_that_is_not_finite_is_named(name: str, value: float) -> None:
    network = nn.Sequential(nn.BatchNorm2d(4))
    check_weights(network, {})
    network.state_dict()[f"0.{name}"][2] = value
    with pytest.raises(FloatingPointError, match=rf"^the weights 0\.{name}: 1 of 4 values"):
        check_weights(network, {})


def test_infinities_of_a_table_that_the_network_was_built_with_are_allowed() -> None:
    network = nn.Module()
    network.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    tables = infinite_tables(network)
    check_weights(network, tables)
    network.mask[0] = math.inf  # type: ignore[index, operator]
    with pytest.raises(FloatingPointError, match=r"mask: 1 of 2 values"):
        check_weights(network, tables)


def test_only_an_error_about_numbers_gets_the_name_of_the_network() -> None:
    with pytest.raises(FloatingPointError, match=r"^model m: the loss is nan$"), named_in_errors("model m"):
        raise FloatingPointError("the loss is nan")
    with pytest.raises(ValueError, match=r"^other$"), named_in_errors("model m"):
        raise ValueError("other")


def test_a_parameter_that_is_not_finite_is_named() -> None:
    layer = nn.Linear(2, 3)
    check_parameters("the stitcher", layer)
    layer.bias.data[1] = math.inf
    with pytest.raises(FloatingPointError, match=r"^the stitcher, bias: 1 of 3 values"):
        check_parameters("the stitcher", layer)
