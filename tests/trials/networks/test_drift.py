"""Tests of drift and agreement, which are computed from sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.trials.networks.drift import SquaredDeviations, TopComparison


@settings(deadline=None)
@given(st.sampled_from([(5,), (6, 5), (5, 3, 3)]), st.integers(1, 6), st.sampled_from([0.0, 1e3]))
def test_drift_is_one_minus_r2_however_the_images_are_batched(
    shape: tuple[int, ...], batches: int, mean: float
) -> None:
    draw = torch.Generator().manual_seed(batches)
    y, stitched = torch.randn(30, *shape, generator=draw) + mean, torch.randn(30, *shape, generator=draw) + mean
    deviations, comparison = SquaredDeviations(), TopComparison()
    for one, other in zip(y.chunk(batches), stitched.chunk(batches), strict=True):
        deviations.add(one)
        comparison.add_activations(other, one)
    others = (0, 2, 3) if y.ndim == 4 else tuple(range(y.ndim - 1))
    varies = (y.double() - y.double().mean(others, keepdim=True)).square().sum()
    wanted = float((stitched.double() - y.double()).square().sum() / varies)
    assert comparison.drift(deviations) == pytest.approx(wanted, rel=1e-4)


def test_what_never_moves_has_no_drift() -> None:
    deviations, comparison = SquaredDeviations(), TopComparison()
    deviations.add(torch.ones(4, 3))
    comparison.add_activations(torch.zeros(4, 3), torch.ones(4, 3))
    assert comparison.drift(deviations) is None


def test_agreement_counts_images() -> None:
    comparison = TopComparison()
    comparison.add_predictions(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    comparison.add_predictions(torch.eye(4), torch.tensor([0, 0, 0, 0]))
    assert comparison.agreement == 50.0
