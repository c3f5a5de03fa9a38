"""Protocol paper: training as in the authors' code (Bansal et al. 2021).

The whole stitched network is in train mode: the weights of both models are frozen, but their batch norms use the
statistics of the batch and update their running averages, which evaluation then uses. Adam trains the stitcher from its
random initialisation; the learning rate falls to 0 along a cosine over a fixed number of steps.

The batches that A sees do not depend on the top model, so one copy of A with one set of running averages serves all
stitches of a stream. Each top has its own running averages but shares its weights with the network that it is cut
from, unless it trains with the stitcher: then it is a full copy whose weights Adam updates too.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import cos, pi
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from sweeper.trials.networks.cut import top
from sweeper.trials.networks.network import Network
from sweeper.trials.networks.scoring import Score
from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.group_saving import GroupSaving
from sweeper.trials.stitching.paper_state import PaperState
from sweeper.trials.stitching.stitched_network import (
    Batch,
    StitchedNetwork,
    has_weights,
    isolate_failures,
    score_networks,
    split_time,
    trains,
    without_error,
)
from sweeper.trials.stitching.top_models import TopModels
from sweeper.trials.training.learning_curve import Point, mean_loss

POINTS = 20  # the number of points of a stitch's learning curve

M = TypeVar("M", bound=nn.Module)


def copy_with_own_batch_stats(module: M) -> M:
    """Return a copy in train mode with its own batch-norm statistics; its weights are shared with `module`, frozen."""
    weights = {id(weight): weight for weight in module.parameters()}
    return copy.deepcopy(module, weights).requires_grad_(False).train()


def train(
    stitched_networks: Sequence[StitchedNetwork],
    batch: Callable[[int], Batch],
    a: nn.Module | None = None,
    saving: GroupSaving | None = None,
) -> Iterator[list[StitchedNetwork]]:
    """Train each stitched network in place; yield those that end at the same step together, in eval mode.

    When a list is yielded, the bottom model that `batch` uses has seen exactly the batches up to their last step. A
    network that fails is yielded at the end of the step, its `error` set.

    Args:
        stitched_networks: Their tops are in train mode: made by `copy_with_own_batch_stats`, or full copies if they
            train.
        batch: Returns A's activations, computed in train mode, and the labels for a step, counted from 0.
        a: The bottom model that `batch` uses, whose running averages are saved.
        saving: Saves the states of the group, and has one if the group is to go on from it.
    """
    for stitched in stitched_networks:
        stitched.stitcher.train()
    optimizers = {
        stitched: torch.optim.Adam(stitched.trained_modules.parameters(), lr=stitched.lr)
        for stitched in stitched_networks
        if trains(stitched)
    }
    group, saving = PaperState(a, optimizers), saving or GroupSaving()
    saving.resume(group.restore)

    def step(members: Sequence[StitchedNetwork]) -> None:
        for stitched in members:
            optimizer = optimizers[stitched]
            optimizer.param_groups[0]["lr"] = stitched.lr * (1 + cos(pi * stitched.steps_taken / stitched.steps)) / 2
            optimizer.zero_grad()
            with autocast_step():
                logits = stitched(feed).float()
            loss = functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            losses = group.losses[stitched]
            losses.append(loss.detach())
            stitched.steps_taken += 1
            if stitched.steps_taken % max(1, stitched.steps // POINTS) == 0:
                stitched.train_loss = mean_loss("the stitch's training loss", losses, stitched.steps_taken)
                stitched.curve.append(Point(stitched.steps_taken, "train", stitched.train_loss, None))
                losses.clear()

    if untrained := [stitched for stitched in stitched_networks if stitched not in optimizers]:
        yield _in_eval_mode(untrained)
    while group.unfinished:
        saving.save_if_due(group.state)
        with split_time(group.unfinished):
            feed, labels = batch(group.steps)
        group.steps += 1
        for stitched in without_error(group.unfinished):
            isolate_failures([stitched], step)
        finished = [stitched for stitched in group.unfinished if stitched.steps <= group.steps or stitched.error]
        group.unfinished = [stitched for stitched in group.unfinished if stitched not in finished]
        if finished:
            yield _in_eval_mode(finished)


class PaperProtocol:
    """Protocol paper as a `StitchProtocol`."""

    stops_early = False

    def own_top(self, b: Network, cut: str, trains: bool) -> nn.Module | None:
        """Return B's layers in train mode: a full copy if they train, else only with batch statistics of their own."""
        layers = top(b.unfolded, cut)
        return copy.deepcopy(layers).requires_grad_(True).train() if trains else copy_with_own_batch_stats(layers)

    def starts_at_closed_form(self, stitched: StitchedNetwork) -> bool:
        """Return True for a stitcher that does not train."""
        return not (stitched.steps and has_weights(stitched.stitcher))

    def train_and_score(
        self,
        stitched_networks: Sequence[StitchedNetwork],
        closed_forms: Sequence[StitchedNetwork],
        feeds: BottomFeeds,
        tops: TopModels,
        saving: GroupSaving,
    ) -> Iterator[Mapping[StitchedNetwork, Score]]:
        """Train the networks; score those that end together at once, since A's running averages change at each step."""
        closed_form_scores = score_networks(closed_forms, feeds.test_batches(feeds.folded))
        a = copy_with_own_batch_stats(feeds.unfolded)
        for ended in train(stitched_networks, feeds.train_batches(a), a, saving):
            trained = without_error(ended)
            scores = score_networks(trained, feeds.test_batches(a.eval()), tops.references(trained, feeds.images))
            a.train()
            yield closed_form_scores | scores


def _in_eval_mode(stitched_networks: list[StitchedNetwork]) -> list[StitchedNetwork]:
    for stitched in stitched_networks:
        stitched.stitcher.eval()
        stitched.top.eval()
    return stitched_networks
