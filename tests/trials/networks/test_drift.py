"""Tests of drift and agreement, which are computed from sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.trials.networks.drift import SquaredDeviations, TopComparison


@settings(deadline=None)
@given(st.sampled_from([(5,), (6, 5), (5, 3, 3)]), st.integers(1, 6), st.sampled_from([0.0, 1e3]))
def test_drift_is_1_minus_r2_for_batches_of_any_size(shape: tuple[int, ...], batches: int, mean: float) -> None:
    draw = torch.Generator().manual_seed(batches)
    y, stitched = torch.randn(30, *shape, generator=draw) + mean, torch.randn(30, *shape, generator=draw) + mean
    deviations, comparison = SquaredDeviations(), TopComparison()
    for y_batch, stitched_batch in zip(y.chunk(batches), stitched.chunk(batches), strict=True):
        deviations.add(y_batch)
        comparison.add_activations(stitched_batch, y_batch)
    axes = (0, 2, 3) if y.ndim == 4 else tuple(range(y.ndim - 1))
    variation = (y.double() - y.double().mean(axes, keepdim=True)).square().sum()
    expected = float((stitched.double() - y.double()).square().sum() / variation)
    assert comparison.drift(deviations) == pytest.approx(expected, rel=1e-4)


def test_the_drift_from_a_constant_activation_is_none() -> None:
    deviations, comparison = SquaredDeviations(), TopComparison()
    deviations.add(torch.ones(4, 3))
    comparison.add_activations(torch.zeros(4, 3), torch.ones(4, 3))
    assert comparison.drift(deviations) is None


def test_agreement_is_the_percentage_of_images_with_equal_predictions() -> None:
    comparison = TopComparison()
    comparison.add_predictions(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    comparison.add_predictions(torch.eye(4), torch.tensor([0, 0, 0, 0]))
    assert comparison.agreement == 50.0
