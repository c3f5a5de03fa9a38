"""Training runs: SGD with momentum on batches of the data stream, with the models at requested steps."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.records.task import TrainingRun
from sweeper.trials.data.stream import Stream
from sweeper.trials.data.subset import noisy_labels, train_indices
from sweeper.trials.networks.finite import check_weights, infinite_tables, named_in_errors
from sweeper.trials.networks.network import Images
from sweeper.trials.networks.own_input import with_own_input
from sweeper.trials.process.compiled import compile_forward
from sweeper.trials.process.memory_format import to_fast_layout
from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.process.saving import Saving
from sweeper.trials.training.initial_weights import start
from sweeper.trials.training.learning_curve import LearningCurve, Point
from sweeper.trials.training.run_state import RunState, usable_steps
from sweeper.trials.training.simclr import SimCLR

POINTS = 100  # the most points of a learning curve
DROP = 0.2  # factor on the learning rate at 1/2 and at 3/4 of the steps (Bansal et al. 2021, appendix A)
RISE = 0.3  # share of the steps in which one_cycle's learning rate rises
LOW = 1 / 25  # initial learning rate of one_cycle, as a share of the peak


@dataclass(frozen=True, slots=True)
class Trained:
    """A network after `step` steps of its run."""

    step: int
    network: nn.Module  # a copy: training goes on without it
    train_loss: float | None  # mean over the steps since the curve's previous point; None without training
    curve: Sequence[Point]  # from the run's start


def train(
    training: TrainingRun,
    at_steps: Sequence[int],
    images: Images,
    load: Callable[[], bytes] = lambda: b"",
    saving: Saving | None = None,
) -> Iterator[Trained]:
    """Run a training, and yield the network after each of `at_steps`.

    The same run on the same device with the same number of threads gives the same weights, bit for bit, whatever
    `at_steps` are and however often it was interrupted.

    Args:
        training: The run.
        at_steps: Steps in ascending order, the last at most `training.steps`.
        images: The data set with its original labels, on the device to train on.
        load: Returns the bytes of the weights that the run starts from; called only if it starts from given weights.
        saving: Saves the states of the run, and has those of an earlier try; None saves nothing.

    Raises:
        FloatingPointError: If a loss or a weight of one of these networks is not a finite number.
    """
    device = images.train.device
    network = with_own_input(start(training, load), training.input, images.mean, images.std)
    tables = infinite_tables(network)
    network = to_fast_layout(network.to(device), training.data.shape)
    with named_in_errors("the network before its first step"):
        check_weights(network, tables)
    if not training.steps:
        yield Trained(0, copy.deepcopy(network), None, ())
        return
    stream = _stream(training, images)
    objective = _OBJECTIVES[training.objective](training, network, stream, images)
    optimizer = torch.optim.SGD(
        objective.parameters(),
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        fused=True,  # fewer kernel launches on a GPU; no difference on a CPU
    )
    curve = LearningCurve(every=math.ceil(training.steps / POINTS))
    run, saving = RunState(objective.module, optimizer, curve, device), saving or Saving()
    saving.resume(run.restore, partial(usable_steps, before=at_steps[0]))
    for step in range(curve.step, max(at_steps)):
        saving.save_if_due(run.state)
        for group in optimizer.param_groups:
            group["lr"] = rate(training, step)
        curve.add(*_step(optimizer, objective, step))
        if step + 1 in at_steps:
            points, trained = curve.points_to_present(), objective.evaluation_copy()
            with named_in_errors(f"the network after step {step + 1}"):
                check_weights(trained, tables)
            yield Trained(step + 1, trained, points[-1].loss, points)
    saving.end()


class Objective(Protocol):
    """The objective that a run minimises."""

    @property
    def module(self) -> nn.Module:
        """The module whose weights and statistics change in training."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights that are trained."""
        ...

    def loss(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the loss of a step's batch and its error as a share, on the device (reading would wait for it)."""
        ...

    def evaluation_copy(self) -> nn.Module:
        """Return a copy of the network in its present state, complete for evaluation."""
        ...


class Supervised:
    """Cross-entropy on the labels."""

    def __init__(self, training: TrainingRun, network: nn.Module, stream: Stream, images: Images):
        self._network, self._stream, self._smoothing = network, stream, training.label_smoothing
        self._forward = compile_forward(network)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self._network

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return all weights of the network; frozen ones have no gradient and stay unchanged."""
        return self._network.parameters()

    def loss(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy of a step's batch, with label smoothing, and the share of wrong predictions."""
        images, labels = self._stream.batch(step)
        with autocast_step():
            logits = self._forward(images).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        return loss, (logits.detach().argmax(1) != labels).float().mean()

    def evaluation_copy(self) -> nn.Module:
        """Return a copy of the network."""
        return copy.deepcopy(self._network)


_OBJECTIVES: Mapping[str, Callable[[TrainingRun, nn.Module, Stream, Images], Objective]] = {
    "supervised": Supervised,
    "simclr": SimCLR,
}


def rate(training: TrainingRun, step: int) -> float:
    """Return the learning rate of a step (from 0).

    It is the schedule's, times (step + 1) / n in a warm-up of n steps (Goyal et al. 2017); the warm-up does not shift
    the schedule.
    """
    warmup_steps = training.warmup * training.steps
    ramp = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return training.lr * ramp * decay(training.schedule, step / training.steps)


def decay(schedule: str, progress: float) -> float:
    """Return the factor on the learning rate after a share `progress` in [0, 1) of the steps.

    constant: 1; step: 1, 0.2 from a half on, 0.04 from three quarters on; cosine: (1 + cos(pi progress)) / 2;
    one_cycle: linearly from 1/25 to 1 in the first 30 %, then along a cosine to 0 (the 1cycle policy of Smith
    2018 in the two phases that later libraries use; the momentum stays).

    Raises:
        ValueError: If there is no such schedule.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return DROP ** ((progress >= 0.5) + (progress >= 0.75))
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if schedule == "one_cycle":
        if progress < RISE:
            return LOW + (1 - LOW) * progress / RISE
        return (1 + math.cos(math.pi * (progress - RISE) / (1 - RISE))) / 2
    raise ValueError(f"no schedule {schedule!r}; there are constant, step, cosine, one_cycle")


def _stream(training: TrainingRun, images: Images) -> Stream:
    labels = noisy_labels(training, images.with_grouped_labels(training.labels).train_labels.cpu().numpy())
    return Stream(
        images.train,
        labels,
        training.batch,
        training.seed,
        training.augment,
        images.mean,
        images.std,
        images.train.device,
        indices=train_indices(training),
    )


def _step(optimizer: torch.optim.Optimizer, objective: Objective, step: int) -> tuple[Tensor, Tensor]:
    """Run one step, and return the batch's loss and error."""
    optimizer.zero_grad(set_to_none=True)
    loss, error = objective.loss(step)
    loss.backward()
    optimizer.step()
    return loss.detach(), error
