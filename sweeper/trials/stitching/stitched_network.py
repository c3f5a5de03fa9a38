"""Stitched networks: their state in training, their evaluation, and the isolation of failures from each other.

One forward pass of A serves all stitches of a batch: a *feed* maps the name of a cut to A's activation there, for one
batch of images. The modules `protocol_strict` and `protocol_paper` train stitched networks; both use this module.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.spec.cards.places import Part
from sweeper.spec.records.task import Stitch
from sweeper.trials.networks.activations import Feed
from sweeper.trials.networks.drift import SquaredDeviations, TopReference
from sweeper.trials.networks.finite import check_finite, named_in_errors
from sweeper.trials.networks.scoring import Score, ScoreCounter
from sweeper.trials.stitching.least_squares import Affine
from sweeper.trials.training.learning_curve import Point

clock = time.perf_counter  # measures a stitch's seconds; benchmarks replace it by a clock of core-seconds

Batch = tuple[Feed, Tensor]  # a feed, and the labels of its images: int64 (images,)


class Target(NamedTuple):
    """The top model of a stitch, and the cut at which its activation is compared with the stitcher's output."""

    b: str  # the top model's id
    cut: str  # at `OUTPUT` no activations are compared, since the scale of logits is arbitrary


class ClosedFormOfChannels(NamedTuple):
    """The closed form that a stitcher started at, where one map of channels leads from A's activation to B's."""

    form: Affine
    part: Part
    bottom_shape: Shape  # of A's activation at the cut
    top_shape: Shape  # of B's


@dataclass(eq=False, slots=True)
class StitchedNetwork:
    """The bottom model up to `cut`, a stitcher, and the top model's remaining layers, with the state of training.

    Only the stitcher's weights train, unless `trains_top`: then `top` is a copy that no other stitch uses, and trains
    with the stitcher. Training fills in the fields from `steps_taken` on. If `error` is set the stitch has failed, and
    the other results are not valid.
    """

    id: str
    cut: str
    stitcher: nn.Module
    top: nn.Module
    steps: int  # the largest number of steps that training may take
    lr: float  # the peak learning rate
    target: Target | None = None
    may_stop: bool = True  # if true, the held-out loss may end training before `steps`
    trains_top: bool = False
    affine_top: bool = False  # True: the card of B says that all layers of `top` are affine
    # The closed form that the stitcher starts at; None if it starts at none, or at one of several maps.
    closed_form: ClosedFormOfChannels | None = None
    # The covariance of the input channels of the stitcher's weights, by the weight's name.
    read_covariances: Mapping[str, Tensor] = field(default_factory=dict)
    explained: float = 1.0  # the share of the variance of B's activation that the closed form explains
    steps_taken: int = 0
    converged: bool = False
    train_loss: float | None = None
    curve: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    error: Exception | None = None

    @property
    def trained_modules(self) -> nn.ModuleList:
        """The modules whose weights train, the stitcher first."""
        return nn.ModuleList([self.stitcher, self.top] if self.trains_top else [self.stitcher])

    def __call__(self, feed: Feed) -> Tensor:
        """Return the logits (images, classes) of a batch."""
        return self.top(self.stitcher(feed[self.cut]))


@dataclass(frozen=True)
class FinishedStitch:
    """A stitch after training, with its score.

    `direct` holds the score and the r2 of the closed form, None if the shapes allow none. `stop_data` is defined in
    `StitchRow`.
    """

    stitch: Stitch
    stitched: StitchedNetwork
    score: Score
    direct: tuple[Score, float] | None
    stop_data: str


@dataclass(frozen=True)
class FailedStitch:
    """A stitch that has no score, with the error that building or training it raised."""

    stitch: Stitch
    error: Exception


def trains(stitched: StitchedNetwork) -> bool:
    """Return True if a stitched network has weights to train and at least one step."""
    return stitched.steps > 0 and has_weights(stitched.trained_modules)


def has_weights(module: nn.Module) -> bool:
    """Return True if a module has at least one parameter."""
    return any(True for _ in module.parameters())


@contextmanager
def split_time(stitched_networks: Sequence[StitchedNetwork]) -> Iterator[None]:
    """Measure the wall time of the `with` block and add an equal share of it to each network's `seconds`."""
    start = clock()
    try:
        yield
    finally:
        spent = clock() - start
        for stitched in stitched_networks:
            stitched.seconds += spent / len(stitched_networks)


@contextmanager
def share_failure(stitched_networks: Sequence[StitchedNetwork]) -> Iterator[None]:
    """Store an error of the `with` block, whose work only these networks share, in the `error` of each."""
    try:
        yield
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        for stitched in stitched_networks:
            stitched.error = error


def isolate_failures(
    stitched_networks: Sequence[StitchedNetwork], work: Callable[[Sequence[StitchedNetwork]], None]
) -> None:
    """Call `work` with all networks at once; if that raises, call it again with one network at a time.

    Thus an error of one network, or a batch too large for the device, does not affect the other networks. An error that
    a single network raises is stored in its `error`. Since `work` may run twice, it must not change any state before
    its last statement that can raise.
    """
    try:
        with split_time(stitched_networks):
            work(stitched_networks)
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        if len(stitched_networks) == 1:
            stitched_networks[0].error = error
            return
        for stitched in stitched_networks:
            isolate_failures([stitched], work)


def without_error(stitched_networks: Iterable[StitchedNetwork]) -> list[StitchedNetwork]:
    """Return the stitched networks that have not failed."""
    return [stitched for stitched in stitched_networks if stitched.error is None]


@torch.no_grad()
def score_networks(
    stitched_networks: Sequence[StitchedNetwork],
    feeds: Iterable[Batch],
    references: Iterable[Mapping[str, TopReference]] = (),
) -> dict[StitchedNetwork, Score]:
    """Return the score of each stitched network over all batches; one that raises is left out, its `error` set.

    Each network is run separately, batch by batch: equal networks then give equal bits.

    Args:
        stitched_networks: The networks to score. Those with a `target` are compared with the top model.
        feeds: Batches of (feed, labels).
        references: For the same batches, the top models' activations and predictions by model id.
    """
    counters = {stitched: ScoreCounter() for stitched in stitched_networks}
    deviations: dict[Target | None, SquaredDeviations] = {}

    def add(stitched: StitchedNetwork, batch: Batch, reference_by_top: Mapping[str, TopReference]) -> None:
        counter = counters[stitched]
        reference = reference_by_top.get(stitched.target.b) if stitched.target else None
        mapped = stitched.stitcher(batch[0][stitched.cut])
        check_finite("the stitcher's output", mapped)
        if reference and stitched.target and stitched.target.cut != OUTPUT:
            counter.comparison.add_activations(mapped, reference.at[stitched.target.cut])
        logits = stitched.top(mapped)
        counter.add(logits, batch[1])
        if reference:
            counter.comparison.add_predictions(logits, reference.predictions)

    batches = zip(feeds, chain(references, repeat({})), strict=False)
    while active := without_error(stitched_networks):
        with split_time(active):
            batch_and_reference = next(batches, None)
            if batch_and_reference is None:
                break
            batch, reference_by_top = batch_and_reference
            for target in {stitched.target for stitched in active}:
                if target and target.b in reference_by_top and target.cut != OUTPUT:
                    with share_failure([stitched for stitched in active if stitched.target == target]):
                        activation = reference_by_top[target.b].at[target.cut]
                        deviations.setdefault(target, SquaredDeviations()).add(activation)
        for stitched in without_error(active):
            isolate_failures(
                [stitched],
                lambda single, batch=batch, reference_by_top=reference_by_top: add(single[0], batch, reference_by_top),
            )
    scores: dict[StitchedNetwork, Score] = {}
    for stitched in without_error(stitched_networks):
        with share_failure([stitched]), named_in_errors("the stitched network"):
            scores[stitched] = counters[stitched].score(deviations.get(stitched.target))
    return scores
