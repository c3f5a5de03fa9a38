"""Tests of the weights that a strict stitch keeps, and of its convergence."""

import pytest
import torch
from torch import nn

from sweeper.trials.stitching.best_weights import LEAST_FALL, MARGIN, PATIENCE, BestWeights
from sweeper.trials.stitching.stitched_network import StitchedNetwork


@pytest.fixture
def stitched() -> StitchedNetwork:
    """Return a stitched network whose stitcher is one number."""
    return StitchedNetwork("s", "cut", nn.Linear(1, 1, bias=False), nn.Identity(), 10, 0.1)


def phase(best: BestWeights, stitched: StitchedNetwork, step: int, loss: float) -> None:
    """Perform a phase after which the weight is the number of the step."""
    best.begin_phase()
    with torch.no_grad():
        stitched.stitcher.weight.fill_(step)
    best.measure(step, loss, 0.0)
    best.end_phase()


def losses_until_over(stitched: StitchedNetwork, losses: list[float]) -> int:
    """Return the number of phases after the start, whose loss is the first, until training is over."""
    best = BestWeights(stitched)
    best.measure(0, losses[0], 0.0)
    for count, loss in enumerate(losses[1:], start=1):
        phase(best, stitched, count, loss)
        if best.over:
            break
    best.finish()
    return count


def test_a_phase_starts_and_training_ends_at_the_lowest_loss(stitched: StitchedNetwork) -> None:
    best = BestWeights(stitched)
    best.measure(0, 2.0, 0.0)
    phase(best, stitched, 1, 1.0)
    phase(best, stitched, 2, 3.0)
    best.begin_phase()
    assert stitched.stitcher.weight.item() == 1
    best.finish()
    assert stitched.stitcher.weight.item() == 1
    assert [(point.step, point.loss) for point in stitched.curve] == [(0, 2.0), (1, 1.0), (2, 3.0)]


def test_training_is_over_after_phases_in_a_row_without_improvement(stitched: StitchedNetwork) -> None:
    falls = [2.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.1]
    assert losses_until_over(stitched, falls) == 3 + PATIENCE
    assert stitched.converged


@pytest.mark.parametrize(("losses", "converged"), [
    ([1.0, 0.5, 0.5 * (1 - MARGIN / 2)], True),
    ([1.0, 0.5, 0.5 * (1 - 2 * MARGIN)], False),
    ([0.1, 0.05, 0.05 - LEAST_FALL / 2], True),
    ([1.0, 1.0], False),
])  # fmt: skip
def test_a_stitch_has_converged_if_the_last_of_several_phases_did_not_improve_it(
    stitched: StitchedNetwork, losses: list[float], converged: bool
) -> None:
    losses_until_over(stitched, losses)
    assert stitched.converged == converged


def test_the_weights_halfway_are_kept_if_their_loss_is_lower_than_at_the_end_of_the_phase(
    stitched: StitchedNetwork,
) -> None:
    with torch.no_grad():
        stitched.stitcher.weight.fill_(2.0)
    best = BestWeights(stitched)
    best.measure(0, 2.0, 0.0)
    best.begin_phase()
    with torch.no_grad():
        stitched.stitcher.weight.fill_(8.0)
    best.measure(64, 1.5, 0.0)
    best.go_halfway()
    assert stitched.stitcher.weight.item() == 5.0
    best.measure(64, 1.0, 0.0)
    best.end_phase()
    best.finish()
    assert stitched.stitcher.weight.item() == 5.0


def test_halfway_is_between_the_start_of_the_phase_and_its_end_although_the_end_is_the_best(
    stitched: StitchedNetwork,
) -> None:
    best = BestWeights(stitched)
    phase(best, stitched, 4, 2.0)
    best.begin_phase()
    with torch.no_grad():
        stitched.stitcher.weight.fill_(6.0)
    best.measure(128, 1.0, 0.0)
    best.go_halfway()
    assert stitched.stitcher.weight.item() == 5.0
    best.measure(128, 3.0, 0.0)
    best.finish()
    assert stitched.stitcher.weight.item() == 6.0
