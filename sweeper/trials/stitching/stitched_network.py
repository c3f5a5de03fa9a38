"""The stitch kernel's common parts: a stitched network in training, what feeds it, how it is judged.

One forward pass of A feeds every cut, top and stitcher: a *feed* is a mapping from the name of a cut to A's tensor
there, for one batch of images. `strict` and `paper` train; here is what they share.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.card import OUTPUT
from sweeper.spec.records.task import Stitch
from sweeper.trials.networks.archs.staged import stages
from sweeper.trials.stitching.drift import Likeness, Own, Spread

clock = time.perf_counter  # what a stitch's seconds are counted by; the benchmarks put core-seconds in its place

Feed = Mapping[str, Tensor]
Batch = tuple[Feed, Tensor]  # and the labels, int64 (images,)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a learning curve: loss in nats, error in percent (None where not known)."""

    step: int
    split: str  # "train", "stop"
    loss: float
    error: float | None


class Target(NamedTuple):
    """Whom a stitch is compared with, and the activation that its stitcher's stands for."""

    b: str  # which of the receivers
    cut: str  # at the output none: logits have a scale of their own


@dataclass(eq=False, slots=True)
class Joint:
    """A stitched network: A's tensor at `cut`, `stitcher`, `top`. Only the stitcher's weights train, or with them those
    of `top` (`tunes`), which then is the joint's own.

    `steps` is the most steps it may take and `lr` its peak learning rate. Training fills in the rest; `error` holds
    what it raised, and then nothing else counts.
    """

    id: str
    cut: str
    stitcher: nn.Module
    top: nn.Module
    steps: int
    lr: float
    target: Target | None = None
    stops: bool = True  # it may end before its steps are over
    tunes: bool = False  # the top trains, too
    reads: Mapping[str, Tensor] = field(default_factory=dict)  # stitcher's weights by name: the covariance they read
    taken: int = 0
    converged: bool = False
    train_loss: float | None = None
    curve: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    error: Exception | None = None

    @property
    def learning(self) -> nn.ModuleList:
        """The modules whose weights train, the stitcher first."""
        return nn.ModuleList([self.stitcher, self.top] if self.tunes else [self.stitcher])

    def __call__(self, feed: Feed) -> Tensor:
        """The logits of a batch."""
        return self.top(self.stitcher(feed[self.cut]))


@dataclass(frozen=True, slots=True)
class Score:
    """How a network does on some images: mean cross-entropy in nats, error in percent, a bit an image for which the
    prediction is right (packed big-endian). Of a stitched network also how like B's own it is: `drift` and `agreement`
    as in `StitchRow`."""

    loss: float
    error: float
    correct: bytes
    drift: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Ended:
    """A stitch that came to its end: its score, or in `joint.error` what it raised. `direct`: the score of the closed
    form and its r2, where the shapes allow one; `stop_data`: as in `StitchRow`."""

    stitch: Stitch
    joint: Joint
    score: Score | None = None
    direct: tuple[Score, float] | None = None
    stop_data: str = "none"


def trains(joint: Joint) -> bool:
    """Whether there is anything to train, and any step to do it in."""
    return joint.steps > 0 and has_weights(joint.learning)


def has_weights(module: nn.Module) -> bool:
    """Whether there is anything to train in a module."""
    return any(True for _ in module.parameters())


def activations(network: nn.Module, images: Tensor, cuts: Iterable[str]) -> dict[str, Tensor]:
    """A network's tensors at some of its stages for one batch, from one pass that goes no deeper than the last."""
    wanted, x, found = set(cuts), images, {}
    for name, stage in stages(network).items():
        if len(found) == len(wanted):
            break
        x = stage(x)
        if name in wanted:
            found[name] = x
    return found


@contextmanager
def shared(joints: Sequence[Joint]) -> Iterator[None]:
    """Counts the wall clock of what runs inside in equal shares."""
    start = clock()
    try:
        yield
    finally:
        spent = clock() - start
        for joint in joints:
            joint.seconds += spent / len(joints)


def attempt(joints: Sequence[Joint], work: Callable[[Sequence[Joint]], None]) -> None:
    """Does `work` for all at once; where that raises, for one at a time, so that one bad joint (or a batch too large
    for the device) costs nobody else. What a lone joint raises is kept in its `error`.

    `work` must change nothing before it can no longer raise.
    """
    try:
        with shared(joints):
            work(joints)
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        if len(joints) == 1:
            joints[0].error = error
            return
        for joint in joints:
            attempt([joint], work)


def living(joints: Iterable[Joint]) -> list[Joint]:
    """Those that have not failed."""
    return [joint for joint in joints if joint.error is None]


class Tally:
    """Counts loss and hits of one network, batch after batch."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self.likeness = Likeness()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        self._losses.append(functional.cross_entropy(logits, labels, reduction="none"))
        self._hits.append(logits.argmax(1) == labels)

    def score(self, spread: Spread | None = None) -> Score:
        """spread: of B's own activation, where the network's was compared with it."""
        losses, hits = torch.cat(self._losses).double(), torch.cat(self._hits).cpu()
        correct = int(hits.sum())
        score = Score(float(losses.mean()), 100 * (len(hits) - correct) / len(hits), pack_bits(hits))
        return replace(score, drift=self.likeness.drift(spread) if spread else None, agreement=self.likeness.agreement)


def pack_bits(hits: Tensor) -> bytes:
    """A bool tensor (images,) as one bit an image, big-endian; the last byte filled up with 0."""
    return np.packbits(hits.numpy()).tobytes()


@torch.no_grad()
def judge(joints: Sequence[Joint], feeds: Iterable[Batch], own: Iterable[Mapping[str, Own]] = ()) -> dict[Joint, Score]:
    """The score of each joint over all batches of (feed, labels). A joint that raises is left out, its `error` set.

    own: in the same batches, what each B makes of the images; joints with a `target` are compared with it, where it is
    given. Each is run by itself, batch by batch as the feed comes: equal networks then give equal bits.
    """
    tallies = {joint: Tally() for joint in joints}
    spreads: dict[Target | None, Spread] = {}

    def add(joint: Joint, batch: Batch, beside: Mapping[str, Own]) -> None:
        tally, theirs = tallies[joint], beside.get(joint.target.b) if joint.target else None
        stitched = joint.stitcher(batch[0][joint.cut])
        if theirs and joint.target and joint.target.cut != OUTPUT:
            tally.likeness.see(stitched, theirs.at[joint.target.cut])
        logits = joint.top(stitched)
        tally.add(logits, batch[1])
        if theirs:
            tally.likeness.hear(logits, theirs.predictions)

    batches = zip(feeds, chain(own, repeat({})), strict=False)
    while alive := living(joints):
        with shared(alive):
            found = next(batches, None)
            if found is None:
                break
            batch, beside = found
            for target in {joint.target for joint in alive}:
                if target and target.b in beside and target.cut != OUTPUT:
                    spreads.setdefault(target, Spread()).add(beside[target.b].at[target.cut])
        for joint in alive:
            attempt([joint], lambda alone, batch=batch, beside=beside: add(alone[0], batch, beside))
    return {joint: tallies[joint].score(spreads.get(joint.target)) for joint in living(joints)}
