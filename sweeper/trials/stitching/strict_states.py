"""The two ways in which a strict stitch comes to its weights: it takes steps, or it is solved."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from sweeper.trials.networks.activations import Feed
from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import module_tensors, restore_module
from sweeper.trials.stitching.best_weights import BestWeights
from sweeper.trials.stitching.linear_probe import LinearProbe, Position, Solution
from sweeper.trials.stitching.rate_phases import RatePhases
from sweeper.trials.stitching.stitch_state import record_state, restore_record, tensor
from sweeper.trials.stitching.stitched_network import (
    Batch,
    StitchedNetwork,
    isolate_failures,
    score_networks,
    share_failure,
    split_time,
)
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm
from sweeper.trials.stitching.whitened_adam import Adam, relative_rate
from sweeper.trials.training.learning_curve import Point, mean_loss


class TrainingState:
    """A stitched network that is trained by steps."""

    def __init__(self, stitched: StitchedNetwork):
        self.stitched, self.top = stitched, stitched.top
        self._modules = stitched.trained_modules.requires_grad_(True)
        self._phases = RatePhases.of(stitched.steps)
        self._reads = {f"0.{name}": covariance for name, covariance in stitched.read_covariances.items()}
        self._lr = stitched.lr * (1.0 if stitched.trains_top else relative_rate(stitched.stitcher))
        self._losses: list[Tensor] = []
        self.best = BestWeights(stitched)
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

    def goes_halfway(self, step: int) -> bool:
        """Set the network halfway between the start and the end of a phase; return False if no phase ends."""
        at_an_end = step in self._phases.ends and self.stitched.may_stop and not self.stitched.error
        if at_an_end:
            self.best.go_halfway()
        return at_an_end

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

    def state(self) -> ComputationState:
        """Return all that the steps have changed."""
        modules = ComputationState(module_tensors("modules", self._modules), {})
        record = record_state(self.stitched, self._losses)
        parts = {"modules": modules, "optimizer": self._optimizer.state(), "best": self.best.state(), "record": record}
        return ComputationState.of_parts(parts)

    def restore(self, state: ComputationState) -> None:
        """Go on from a state.

        Raises:
            StateError: It doesn't fit.
        """
        restore_module("modules", self._modules, state.part("modules").tensors)()
        self._optimizer.restore(state.part("optimizer"))
        self.best.restore(state.part("best"))
        self._losses = restore_record(self.stitched, state.part("record"))

    def finish(self, save: Callable[[], None] = lambda: None) -> StitchedNetwork:
        """Set the weights to be evaluated and return the stitched network; `save` is not needed."""
        if self.stitched.may_stop:
            self.best.finish()
        return self.stitched


class ProbeState:
    """A stitched network that is solved, once every image that trains it was observed."""

    def __init__(self, probe: LinearProbe, held_out: Iterable[Batch], train_images: int):
        self.stitched = probe.stitched
        self._probe, self._held_out, self._images_left = probe, held_out, train_images
        self._features: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._position: Position | None = None  # of the last solution; None if there is none
        self.best = BestWeights(self.stitched)

    @property
    def measured(self) -> frozenset[int]:
        """The steps after which the network is measured: none before it is solved, its start."""
        return frozenset({0})

    def record_training_loss(self, step: int) -> None:
        """Do nothing: no step has been taken."""

    def goes_halfway(self, step: int) -> bool:
        """Return False: no phase ends."""
        return False

    def after_measurement(self, step: int) -> None:
        """Do nothing: the phases are the penalties of the solution."""

    def observe(self, feed: Feed, labels: Tensor) -> None:
        """Keep the features of a batch; an error is stored in the stitched network."""
        with split_time([self.stitched]), share_failure([self.stitched]), torch.no_grad():
            self._features.append(self._probe.features(feed)[: self._images_left])
            self._labels.append(labels[: self._images_left])
            self._images_left -= len(self._labels[-1])

    def state(self) -> ComputationState:
        """Return what was recorded so far, and the last solution; the features are observed again."""
        position = self._position
        solved = ComputationState({}, {"path": None})
        if position:
            tensors = {"slope": position.slope, "shift": position.shift}
            solved = ComputationState(tensors, {"path": position.path, "penalties": position.penalties})
        record = record_state(self.stitched, [])
        return ComputationState.of_parts({"best": self.best.state(), "record": record, "solved": solved})

    def restore(self, state: ComputationState) -> None:
        """Go on from a state, after the batches of the steps before it have been observed.

        Raises:
            StateError: It doesn't fit.
        """
        self.best.restore(state.part("best"))
        restore_record(self.stitched, state.part("record"))
        solved = state.part("solved")
        if (path := solved.value("path", (int, type(None)))) is not None:
            slope, shift = tensor(solved.tensors, "slope"), tensor(solved.tensors, "shift")
            self._position = Position(path, solved.value("penalties", int), slope, shift)

    def has_ended(self, step: int) -> bool:
        """Return True if the stitch has failed, or every image was observed."""
        return self.stitched.error is not None or not self._images_left or step >= self.stitched.steps

    def finish(self, save: Callable[[], None] = lambda: None) -> StitchedNetwork:
        """Solve the probe, set the weights to be evaluated and return the stitched network.

        Args:
            save: Saves the state of the group, if it is time; called between two solutions.
        """
        if not self.stitched.error:
            isolate_failures([self.stitched], lambda _: self._solve(save))
        return self.stitched

    def _solve(self, save: Callable[[], None]) -> None:
        start = self._position
        for path in self._probe.paths(torch.cat(self._features), torch.cat(self._labels), start):
            for solution in path:
                if solution.position.penalties == 1:
                    self.best.phases_without_improvement = 0
                self._try(solution)
                self._position = solution.position
                if self.best.over:
                    break
                save()
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
