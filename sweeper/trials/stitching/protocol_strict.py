"""Protocol strict: only the stitcher trains, or also a copy of the top; both models stay in eval mode.

A stitcher starts at the closed form and takes Adam's steps on the cross-entropy (see `whitened_adam`), at rates that
fall to 0 in each of several phases (see `rate_phases`). Its norms keep the statistics of the closed form, so it is an
affine map at every step, and its gradient does not depend on the other stitches in a batch. Stitches that share a top
run as one larger batch. A top that trains belongs to one stitch and runs alone; its norms keep their statistics too,
while their weights train. A stitch that is a linear probe of A is solved instead (see `linear_probe`), from the images
of its first epoch; each penalty of the solution counts as a phase.

The loss on the held-out images is measured at the closed form itself and twice in each phase. A phase improves a
stitch if it lowers the least of these losses by more than `MARGIN` of it and more than `LEAST_FALL`. Training ends
after `PATIENCE` phases in a row without improvement, or when the steps are taken; the stitcher then gets the weights
with the lowest loss. A stitch has converged if its last phase did not improve it, and was not its only one. A stitched
network with `may_stop` False takes all its steps and is evaluated at their end.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.networks.activations import Feed
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.network import Network
from sweeper.trials.networks.scoring import Score
from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.linear_probe import LinearProbe, Solution
from sweeper.trials.stitching.rate_phases import RatePhases
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
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm
from sweeper.trials.stitching.top_models import TopModels
from sweeper.trials.stitching.whitened_adam import Adam, relative_rate
from sweeper.trials.training.learning_curve import Point, mean_loss

PATIENCE = 2  # phases in a row without improvement after which training ends
MARGIN = 0.02  # the share by which a phase must lower the held-out loss to improve it
LEAST_FALL = 5e-3  # and the fall in nats: of losses near 0, shares are noise


def train(
    stitched_networks: Sequence[StitchedNetwork],
    batch: Callable[[int], Batch],
    held_out: Iterable[Batch],
    train_images: int,
) -> Iterator[list[StitchedNetwork]]:
    """Train each stitched network in place; yield those that end (or fail, `error` set) at the same step together.

    Networks without anything to train are yielded at once.

    Args:
        stitched_networks: Their stitchers are at their start, their tops in eval mode, and frozen unless they train.
        batch: Returns A's activations and the labels for a step, counted from 0.
        held_out: Batches of A's activations and labels of the images that decide when to stop; each measurement
            iterates over all of them.
        train_images: The number of images that train the stitchers. The first batches contain each of them once.
    """
    for stitched in stitched_networks:
        stitched.stitcher.eval()
    states = [_state(stitched, held_out, train_images) for stitched in stitched_networks if trains(stitched)]
    if untrained := [stitched for stitched in stitched_networks if not trains(stitched)]:
        yield untrained
    step = 0
    while states:
        _evaluate([state for state in states if step in state.measured], step, held_out)
        finished = [state for state in states if state.has_ended(step)]
        states = [state for state in states if state not in finished]
        if finished:
            yield [state.finish() for state in finished]
        if states:
            with split_time([state.stitched for state in states]):
                feed, labels = batch(step)
            probes = [state for state in states if isinstance(state, _ProbeState)]
            for state in probes:
                state.observe(feed, labels)
            for group in _by_top([state for state in states if isinstance(state, _TrainingState)]):
                _step(group, step, feed, labels)
            step += 1


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
    ) -> Iterator[Mapping[StitchedNetwork, Score]]:
        """Train all networks, then yield the scores of all at once, from one pass of A."""
        batch, held_out = feeds.cached_train_batches(max((stitched.steps for stitched in stitched_networks), default=0))
        for _ in train(stitched_networks, batch, held_out, len(feeds.stream.indices)):
            pass
        trained = without_error(stitched_networks)
        references = tops.references(trained, feeds.images)
        yield score_networks([*trained, *closed_forms], feeds.test_batches(feeds.folded), references)


class _Best:
    """The weights of a stitched network with the lowest held-out loss, and the phases that did not lower it."""

    def __init__(self, stitched: StitchedNetwork):
        self._stitched, self._modules = stitched, stitched.trained_modules
        self._weights = copy.deepcopy(self._modules.state_dict())
        self.loss = self._loss_before_phase = float("inf")
        self.phases = self.phases_without_improvement = 0

    def measure(self, step: int, loss: float, error: float) -> None:
        """Add a held-out measurement to the learning curve; keep the weights if it is the lowest so far."""
        self._stitched.curve.append(Point(step, "stop", loss, error))
        if loss < self.loss:
            self.loss, self._weights = loss, copy.deepcopy(self._modules.state_dict())

    def begin_phase(self) -> None:
        """Set the network to the best weights, from which the next phase starts."""
        self._modules.load_state_dict(self._weights)
        self._loss_before_phase = self.loss

    def end_phase(self) -> None:
        """Count the phase, and whether it improved the network."""
        fall = self._loss_before_phase - self.loss
        improved = fall > LEAST_FALL and fall > MARGIN * self._loss_before_phase
        self.phases += 1
        self.phases_without_improvement = 0 if improved else self.phases_without_improvement + 1

    @property
    def over(self) -> bool:
        """True after `PATIENCE` phases in a row without improvement."""
        return self.phases_without_improvement >= PATIENCE

    def finish(self) -> None:
        """Set the network to the best weights, and whether it has converged."""
        self._modules.load_state_dict(self._weights)
        self._stitched.converged = self.phases > 1 and self.phases_without_improvement > 0


class _TrainingState:
    """A stitched network that is trained by steps."""

    def __init__(self, stitched: StitchedNetwork):
        self.stitched, self.top = stitched, stitched.top
        self._modules = stitched.trained_modules.requires_grad_(True)
        self._phases = RatePhases.of(stitched.steps)
        self._reads = {f"0.{name}": covariance for name, covariance in stitched.read_covariances.items()}
        self._lr = stitched.lr * (1.0 if stitched.trains_top else relative_rate(stitched.stitcher))
        self._losses: list[Tensor] = []
        self.best = _Best(stitched)
        self._optimizer = self._new_optimizer()

    @property
    def measured(self) -> frozenset[int]:
        """The steps after which the network is measured."""
        return self._phases.measured

    def zero_grad(self) -> None:
        """Clear the gradients."""
        self._optimizer.zero_grad()

    def step(self, step: int, loss: Tensor) -> None:
        """Take one step of the optimizer and record the loss of its batch."""
        self._optimizer.step(self._lr * self._phases.rate(step))
        self._losses.append(loss)
        self.stitched.steps_taken += 1

    def _new_optimizer(self) -> Adam:
        return Adam(self._modules, self._reads, self.stitched.explained)

    def record_training_loss(self, step: int) -> None:
        """Add the mean training loss since the last call to the learning curve; the stitch fails if it isn't finite."""
        if self._losses and not self.stitched.error:
            with share_failure([self.stitched]):
                loss = mean_loss("the stitch's training loss", self._losses, step)
                self.stitched.train_loss = loss
                self.stitched.curve.append(Point(step, "train", loss, None))
            self._losses.clear()

    def after_measurement(self, step: int) -> None:
        """End a phase whose last step was taken, and begin the next one at the best weights."""
        if step in self._phases.ends and self.stitched.may_stop:
            self.best.end_phase()
        if step in self._phases.starts:
            if self.stitched.may_stop:
                self.best.begin_phase()
            self._optimizer = self._new_optimizer()

    def has_ended(self, step: int) -> bool:
        """Return True if the stitch has failed, converged, or taken all its steps."""
        return self.stitched.error is not None or self.best.over or step >= self.stitched.steps

    def finish(self) -> StitchedNetwork:
        """Set the weights to be evaluated and return the stitched network."""
        if self.stitched.may_stop:
            self.best.finish()
        return self.stitched


class _ProbeState:
    """A stitched network that is solved, once every image that trains it was observed."""

    def __init__(self, probe: LinearProbe, held_out: Iterable[Batch], train_images: int):
        self.stitched = probe.stitched
        self._probe, self._held_out, self._images_left = probe, held_out, train_images
        self._features: list[Tensor] = []
        self._labels: list[Tensor] = []
        self.best = _Best(self.stitched)

    @property
    def measured(self) -> frozenset[int]:
        """The steps after which the network is measured: none before it is solved, its start."""
        return frozenset({0})

    def record_training_loss(self, step: int) -> None:
        """Do nothing: no step has been taken."""

    def after_measurement(self, step: int) -> None:
        """Do nothing: the phases are the penalties of the solution."""

    def observe(self, feed: Feed, labels: Tensor) -> None:
        """Keep the features of a batch; an error is stored in the stitched network."""
        with split_time([self.stitched]), share_failure([self.stitched]), torch.no_grad():
            self._features.append(self._probe.features(feed)[: self._images_left])
            self._labels.append(labels[: self._images_left])
            self._images_left -= len(self._labels[-1])

    def has_ended(self, step: int) -> bool:
        """Return True if the stitch has failed, or every image was observed."""
        return self.stitched.error is not None or not self._images_left or step >= self.stitched.steps

    def finish(self) -> StitchedNetwork:
        """Solve the probe, set the weights to be evaluated and return the stitched network."""
        if not self.stitched.error:
            isolate_failures([self.stitched], lambda _: self._solve())
        return self.stitched

    def _solve(self) -> None:
        for path in self._probe.paths(torch.cat(self._features), torch.cat(self._labels)):
            self.best.phases_without_improvement = 0
            for solution in path:
                self._try(solution)
                if self.best.over:
                    break
        self.best.finish()

    def _try(self, solution: Solution) -> None:
        """Set the stitcher to a solution and measure it; raise the error of a measurement that fails."""
        stitched = self.stitched
        assert isinstance(stitched.stitcher, StartsAtClosedForm)
        self.best.begin_phase()
        stitched.stitcher.start(solution.form)
        stitched.steps_taken += solution.iterations
        stitched.train_loss = solution.train_loss
        stitched.curve.append(Point(stitched.steps_taken, "train", solution.train_loss, None))
        score = score_networks([stitched], self._held_out).get(stitched)
        if score is None:
            assert stitched.error
            raise stitched.error
        self.best.measure(stitched.steps_taken, score.loss, score.error)
        self.best.end_phase()


def _state(stitched: StitchedNetwork, held_out: Iterable[Batch], train_images: int) -> "_TrainingState | _ProbeState":
    """Return the state of a stitch that is solved if it can be, else of one that takes steps; an error is stored."""
    if stitched.may_stop and not stitched.trains_top:
        with share_failure([stitched]):
            if probe := LinearProbe.of(stitched):
                return _ProbeState(probe, held_out, train_images)
    return _TrainingState(stitched)


def _evaluate(states: Sequence["_TrainingState | _ProbeState"], step: int, held_out: Iterable[Batch]) -> None:
    """Record the losses of stitches after a step at which they are measured, and end or begin their phases."""
    for state in states:
        state.record_training_loss(step)
    healthy = [state for state in states if not state.stitched.error]
    scores = score_networks([state.stitched for state in healthy if state.stitched.may_stop], held_out)
    for state in healthy:
        if score := scores.get(state.stitched):
            state.best.measure(step, score.loss, score.error)
        elif isinstance(error := state.stitched.error, FloatingPointError):
            state.stitched.error = FloatingPointError(f"on held-out images after step {step}, {error}")
        state.after_measurement(step)


def _by_top(states: Sequence[_TrainingState]) -> list[list[_TrainingState]]:
    groups: dict[nn.Module, list[_TrainingState]] = {}
    for state in states:
        groups.setdefault(state.top, []).append(state)
    return list(groups.values())


def _step(group: Sequence[_TrainingState], number: int, feed: Feed, labels: Tensor) -> None:
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
