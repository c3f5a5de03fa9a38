"""Protocol strict: only the stitcher trains, or also a copy of the top; both models stay in eval mode.

A stitcher starts at the closed form and takes Adam's steps on the cross-entropy (see `whitened_adam`), at rates that
fall to 0 in each of several phases (see `rate_phases`). Its norms keep the statistics of the closed form, so it is an
affine map at every step, and its gradient does not depend on the other stitches in a batch. Stitches that share a top
run as one larger batch. A top that trains belongs to one stitch and runs alone; its norms keep their statistics too,
while their weights train. A stitch that is a linear probe of A is solved instead (see `linear_probe`), from the images
of its first epoch; each penalty of the solution counts as a phase.

The loss on the held-out images is measured at the closed form itself and twice at the end of each phase: at its last
weights, and halfway between its start and these. It decides when training
ends (see `best_weights`), at the latest when the steps are taken; the stitcher then gets the weights with the lowest
loss. A stitched network with `may_stop` False takes all its steps and is evaluated at their end.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.networks.activations import Feed
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.network import Network
from sweeper.trials.networks.scoring import Score
from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.group_saving import GroupSaving
from sweeper.trials.stitching.linear_probe import LinearProbe
from sweeper.trials.stitching.stitched_network import (
    Batch,
    StitchedNetwork,
    isolate_failures,
    score_networks,
    share_failure,
    split_time,
    trains,
    without_error,
)
from sweeper.trials.stitching.strict_group import StrictGroup
from sweeper.trials.stitching.strict_states import ProbeState, TrainingState
from sweeper.trials.stitching.top_models import TopModels


def train(
    stitched_networks: Sequence[StitchedNetwork],
    batch: Callable[[int], Batch],
    held_out: Iterable[Batch],
    train_images: int,
    saving: GroupSaving | None = None,
    must_repeat: Callable[[], bool] = lambda: False,
) -> Iterator[list[StitchedNetwork]]:
    """Train each stitched network in place; yield those that end (or fail, `error` set) at the same step together.

    Networks without anything to train are yielded at once.

    Args:
        stitched_networks: Their stitchers are at their start, their tops in eval mode, and frozen unless they train.
        batch: Returns A's activations and the labels for a step, counted from 0.
        held_out: Batches of A's activations and labels of the images that decide when to stop; each measurement
            iterates over all of them.
        train_images: The number of images that train the stitchers. The first batches contain each of them once.
        saving: Saves the states of the group, and has one if the group is to go on from it.
        must_repeat: Returns True if batches before a saved state must be computed again, since later ones use them.
    """
    for stitched in stitched_networks:
        stitched.stitcher.eval()
    states = [_state(stitched, held_out, train_images) for stitched in stitched_networks if trains(stitched)]
    group, saving = StrictGroup(states), saving or GroupSaving()
    save = partial(saving.save_if_due, group.state)
    saving.resume(partial(group.restore, batch=batch, must_repeat=must_repeat))
    if untrained := [stitched for stitched in stitched_networks if not trains(stitched)]:
        yield untrained
    while group.unfinished:
        if not group.evaluated:
            _evaluate([state for state in group.unfinished if group.step in state.measured], group.step, held_out)
            group.evaluated = True
        ended = [state for state in group.unfinished if state.has_ended(group.step)]
        if failed := [state for state in ended if state.stitched.error]:
            yield [group.finish(state, save) for state in failed]
        finished: list[StitchedNetwork] = []
        for state in (state for state in ended if state not in failed):
            finished.append(group.finish(state, save))
            save()
        if finished:
            yield finished
        if group.unfinished:
            save()
            with split_time([state.stitched for state in group.unfinished]):
                feed, labels = batch(group.step)
            for state in group.probes:
                state.observe(feed, labels)
            for members in _by_top([state for state in group.unfinished if isinstance(state, TrainingState)]):
                _step(members, group.step, feed, labels)
        group.step, group.evaluated = group.step + 1, False


class StrictProtocol:
    """Protocol strict as a `StitchProtocol`."""

    stops_early = True

    def own_top(self, b: Network, cut: str, trains: bool) -> nn.Module | None:
        """Return an unfolded copy of B's layers, in eval mode, if they train; otherwise None."""
        return copy.deepcopy(top(b.unfolded, cut)).requires_grad_(True).eval() if trains else None

    def starts_at_closed_form(self, stitched: StitchedNetwork) -> bool:
        """Return True: all stitchers start at the closed form."""
        return True

    def train_and_score(
        self,
        stitched_networks: Sequence[StitchedNetwork],
        closed_forms: Sequence[StitchedNetwork],
        feeds: BottomFeeds,
        tops: TopModels,
        saving: GroupSaving,
    ) -> Iterator[Mapping[StitchedNetwork, Score]]:
        """Train all networks, then yield the scores of all at once, from one pass of A; for failed ones no scores."""
        batch, held_out = feeds.cached_train_batches(max((stitched.steps for stitched in stitched_networks), default=0))
        images = len(feeds.stream.indices)
        for ended in train(stitched_networks, batch, held_out, images, saving, lambda: not batch.complete):
            if len(without_error(ended)) < len(ended):
                yield {}
        trained = without_error(stitched_networks)
        references = tops.references(trained, feeds.images)
        yield score_networks([*trained, *closed_forms], feeds.test_batches(feeds.folded), references)


def _state(stitched: StitchedNetwork, held_out: Iterable[Batch], train_images: int) -> TrainingState | ProbeState:
    """Return the state of a stitch that is solved if it can be, else of one that takes steps; an error is stored."""
    if stitched.may_stop and not stitched.trains_top:
        with share_failure([stitched]):
            if probe := LinearProbe.of(stitched):
                return ProbeState(probe, held_out, train_images)
    return TrainingState(stitched)


def _evaluate(states: Sequence[TrainingState | ProbeState], step: int, held_out: Iterable[Batch]) -> None:
    """Record the losses of stitches after a step at which they are measured, and end or begin their phases."""
    for state in states:
        state.record_training_loss(step)
    _measure(states, step, held_out)
    _measure([state for state in states if state.goes_halfway(step)], step, held_out)
    for state in states:
        if not state.stitched.error:
            state.after_measurement(step)


def _measure(states: Sequence[TrainingState | ProbeState], step: int, held_out: Iterable[Batch]) -> None:
    """Record the held-out losses of stitches that haven't failed; an error is stored in the stitched network."""
    healthy = [state for state in states if state.stitched.may_stop and not state.stitched.error]
    scores = score_networks([state.stitched for state in healthy], held_out)
    for state in healthy:
        if score := scores.get(state.stitched):
            state.best.measure(step, score.loss, score.error)
        elif isinstance(error := state.stitched.error, FloatingPointError):
            state.stitched.error = FloatingPointError(f"on held-out images after step {step}, {error}")


def _by_top(states: Sequence[TrainingState]) -> list[list[TrainingState]]:
    groups: dict[nn.Module, list[TrainingState]] = {}
    for state in states:
        groups.setdefault(state.top, []).append(state)
    return list(groups.values())


def _step(group: Sequence[TrainingState], number: int, feed: Feed, labels: Tensor) -> None:
    """Take one step, with this number, for all stitchers that share a top."""
    states = {state.stitched: state for state in group}

    def step(stitched_networks: Sequence[StitchedNetwork]) -> None:
        members = [states[stitched] for stitched in stitched_networks]
        for member in members:
            member.zero_grad()
        with autocast_step():
            mapped = torch.cat([member.stitched.stitcher(feed[member.stitched.cut]) for member in members])
            logits = members[0].top(mapped).float().unflatten(0, (len(members), len(labels)))
        losses = torch.stack([functional.cross_entropy(network_logits, labels) for network_logits in logits])
        losses.sum().backward()
        for member, loss in zip(members, losses.detach(), strict=True):
            member.step(number, loss)

    isolate_failures(without_error([state.stitched for state in group]), step)
