"""Groups of stitches that share a stream of images, and the training and evaluation of a group."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.spec.cards.protocols import FIT_IMAGES, STOP_IMAGES
from sweeper.spec.records.task import Groups, Stitch
from sweeper.trials.data.stream import Stream
from sweeper.trials.data.subset import may_have_seen_held_back, stop_indices, train_indices
from sweeper.trials.networks.activation_batches import (
    ACTIVATION_BUDGET,
    ActivationCache,
    bottom_activations,
    evenly_spaced,
    test_batches,
    train_batch,
)
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.cut import cut_of, top
from sweeper.trials.networks.drift import TopReference
from sweeper.trials.networks.label_codes import LabelCodes
from sweeper.trials.networks.network import CHUNK, Images, Network
from sweeper.trials.networks.scoring import Score
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching import protocol_paper, protocol_strict
from sweeper.trials.stitching.direct_matching import ClosedFormStitcher, Place, match
from sweeper.trials.stitching.least_squares import Affine, explained
from sweeper.trials.stitching.stitched_network import (
    Batch,
    FinishedStitch,
    StitchedNetwork,
    Target,
    has_weights,
    isolate_failures,
    judge,
    split_time,
    trains,
    without_error,
)
from sweeper.trials.stitching.stitchers.affine import Reads, Starts
from sweeper.trials.stitching.stitchers.relative import Relative

FIT_BYTES = 2**30  # most bytes of float64 activations in memory while a closed form is solved


class StreamKey(NamedTuple):
    """The settings that stitches must share to be trained from one pass of A."""

    protocol: str
    labels: Groups  # of B's training; the stitcher is trained and the stitch evaluated with these labels
    source: str  # the images that train the stitcher: "full", or those of the training run with this id
    seed: int
    batch: int
    augment: str
    sender: str


AffineMaps = Mapping[Place, tuple[Affine, ...]]  # the closed form of each place, a map for each of its parts


def grouped(stitches: Sequence[Stitch]) -> list[list[Stitch]]:
    """Group stitches that can share one pass of A, in order of first appearance."""
    groups: dict[StreamKey, list[Stitch]] = {}
    for stitch in stitches:
        recipe = stitch.recipe
        labels = stitch.b.training.labels
        source = _source(stitch)
        key = StreamKey(recipe.protocol, labels, source, recipe.seed, recipe.batch, recipe.augment, recipe.sender)
        groups.setdefault(key, []).append(stitch)
    return list(groups.values())


def _source(stitch: Stitch) -> str:
    """Return the training run whose images train the stitcher, or "full": an untrained top has no images of its own."""
    return stitch.b.training.id if stitch.recipe.data == "top" and stitch.b.step else "full"


class Group:
    """Stitches with the same bottom model that share a stream of images.

    The images that train the stitchers carry their true labels, grouped as in B's training. They are the training split
    without its holdout (`full`), or the subset that B was trained on (`top`). The closed form is solved on some of
    them, unaugmented.
    """

    def __init__(self, stitches: Sequence[Stitch], a: Network, tops: Mapping[str, Network], images: Images):
        """Build the stitched networks; an error of one is stored in it.

        Args:
            stitches: Stitches that `grouped` has put together.
            a: The bottom model.
            tops: The top models by model id.
            images: The images with the data set's own labels, on the same device as the networks.
        """
        images = images.with_grouped_labels(stitches[0].b.training.labels)
        self._a, self._tops, self._images = a, tops, images
        self._recipe, self._data = stitches[0].recipe, stitches[0].a.training.data
        self._rows = self._train_rows(stitches[0])
        self._halves: dict[tuple[str, str], nn.Module] = {}
        self._stitches = {self._build_stitched(stitch): stitch for stitch in stitches}
        self._cuts = self._cuts_in_order()
        self._whole, self._folded = self._senders()
        self._places = {stitched: place for stitched in self._active if (place := self._place(stitched))}
        self._stream = Stream(
            images.train,
            images.train_labels,
            batch=self._recipe.batch,
            seed=self._recipe.seed,
            augment=self._recipe.augment,
            mean=images.mean,
            std=images.std,
            device=images.train.device,
            indices=self._rows,
        )

    def run(self) -> Iterator[FinishedStitch]:
        """Yield each stitch when it ends, in no fixed order; raise any error of the work that all of them share."""
        with split_time(self._active):
            _ = self._a.score
        for key in dict.fromkeys(self._stitches[stitched].b.id for stitched in self._active):
            with split_time([stitched for stitched in self._active if self._stitches[stitched].b.id == key]):
                _ = self._tops[key].score
        affines = self._solve()
        probes = {self._probe(place, forms): place for place, forms in affines.items()}
        self._start(affines)
        if self._recipe.protocol == "strict":
            yield from self._strict(affines, probes)
        else:
            yield from self._paper(affines, probes)
        for stitched, stitch in self._stitches.items():
            if stitched.error:
                yield FinishedStitch(stitch, stitched)

    def _strict(self, affines: AffineMaps, probes: Mapping[StitchedNetwork, Place]) -> Iterator[FinishedStitch]:
        stitched_networks = self._active
        batch, held_out = self._feeds(stitched_networks)
        for _ in protocol_strict.train(stitched_networks, batch, held_out):
            pass
        scores = judge(
            [*without_error(stitched_networks), *probes],
            self._test_feed(self._folded),
            self._top_references(without_error(stitched_networks)),
        )
        yield from self._ended(without_error(stitched_networks), scores, affines, probes)

    def _paper(self, affines: AffineMaps, probes: Mapping[StitchedNetwork, Place]) -> Iterator[FinishedStitch]:
        scores = judge(list(probes), self._test_feed(self._folded))
        a = protocol_paper.copy_with_own_batch_stats(self._whole)
        for ended in protocol_paper.train(self._active, partial(train_batch, a, self._stream, self._cuts)):
            found = judge(without_error(ended), self._test_feed(a.eval()), self._top_references(without_error(ended)))
            a.train()
            yield from self._ended(without_error(ended), scores | found, affines, probes)

    def _test_feed(self, a: nn.Module) -> Iterator[Batch]:
        return test_batches(a, self._images, self._cuts)

    def _top_references(self, stitched_networks: Sequence[StitchedNetwork]) -> Iterator[Mapping[str, TopReference]]:
        """Yield the top models' own activations and predictions per test batch, from one pass of each top."""
        cuts: dict[str, set[str]] = {}
        for stitch in map(self._stitches.__getitem__, stitched_networks):
            cuts.setdefault(stitch.b.id, set()).add(stitch.cut_b)
        for images, _ in self._images.test_batches():
            yield {key: self._tops[key].top_reference(images, found - {OUTPUT}) for key, found in cuts.items()}

    def _ended(
        self,
        stitched_networks: Sequence[StitchedNetwork],
        scores: Mapping[StitchedNetwork, Score],
        affines: AffineMaps,
        probes: Mapping[StitchedNetwork, Place],
    ) -> Iterator[FinishedStitch]:
        probe_of = {place: probe for probe, place in probes.items()}
        for stitched in stitched_networks:
            place, direct = self._places.get(stitched), None
            if place and (score := scores.get(probe_of[place])):
                stitched.seconds += probe_of[place].seconds / list(self._places.values()).count(place)
                direct = score, explained(affines[place])
            yield FinishedStitch(
                self._stitches[stitched], stitched, scores[stitched], direct, self._stop_data(stitched)
            )

    @property
    def _active(self) -> list[StitchedNetwork]:
        return without_error(self._stitches)

    def _cuts_in_order(self) -> dict[str, Shape]:
        """A's cuts that any stitch is at, with their shapes, the deepest last."""
        cuts = [cut_of(self._stitches[stitched].a, stitched.cut) for stitched in self._active]
        return {cut.name: cut.shape for cut in sorted(cuts, key=lambda cut: cut.depth)}

    def _senders(self) -> tuple[nn.Module, nn.Module]:
        """Return the bottom model, whole and folded: A itself, or codes of the labels."""
        if self._recipe.sender == "network":
            return self._a.unfolded, self._a.folded
        codes = LabelCodes(self._cuts, self._data.classes, self._recipe.seed).to(self._images.train.device)
        return codes, codes

    def _train_rows(self, stitch: Stitch) -> np.ndarray:
        if _source(stitch) == "full":
            return np.arange(self._data.train - self._data.holdout)
        return train_indices(stitch.b.training)

    def _build_stitched(self, stitch: Stitch) -> StitchedNetwork:
        """Return the stitched network, its stitcher initialised with a seed from the task's id."""
        recipe = stitch.recipe
        try:
            shapes = cut_of(stitch.a, stitch.cut_a).shape, cut_of(stitch.b, stitch.cut_b).shape
            card = user_stitchers.card_with_builder(recipe)
            if reason := card.misfit(*shapes, dict(recipe.options)):
                raise ValueError(reason)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(int(stitch.id[:15], 16))
                stitcher = import_builder(card.builder)(*shapes, dict(recipe.options))
            stitcher = stitcher.to(self._images.train.device)
            target = Target(stitch.b.id, stitch.cut_b)
            half, stops = self._top(stitch), recipe.stop == "held_out"
            tunes = recipe.train == "top"
            return StitchedNetwork(
                stitch.id, stitch.cut_a, stitcher, half, recipe.steps, recipe.lr, target, stops, tunes
            )
        except Exception as error:
            return StitchedNetwork(stitch.id, stitch.cut_a, nn.Identity(), nn.Identity(), 0, 0.0, error=error)

    def _top(self, stitch: Stitch) -> nn.Module:
        """Return B's layers after the cut: shared and folded (strict), or with their own batch statistics (paper).

        A top that trains is an unfolded copy. B must stay unchanged: other stitches use it, and gains are measured
        against it.
        """
        b = self._tops[stitch.b.id]
        if stitch.recipe.train == "top" and stitch.recipe.steps:
            trained_top = copy.deepcopy(top(b.unfolded, stitch.cut_b)).requires_grad_(True)
            return trained_top.train(stitch.recipe.protocol == "paper")
        if stitch.recipe.protocol == "paper" and stitch.recipe.steps:
            return protocol_paper.copy_with_own_batch_stats(top(b.unfolded, stitch.cut_b))
        return self._halves.setdefault((stitch.b.id, stitch.cut_b), top(b.folded, stitch.cut_b))

    def _place(self, stitched: StitchedNetwork) -> Place | None:
        """Return where the closed form is solved; None if the places of the two activations do not match."""
        stitch = self._stitches[stitched]
        shapes = cut_of(stitch.a, stitch.cut_a).shape, cut_of(stitch.b, stitch.cut_b).shape
        parts = user_stitchers.card_with_builder(stitch.recipe).parts(*shapes, dict(stitch.recipe.options))
        return Place(stitch.cut_a, stitch.b.id, stitch.cut_b, shapes[1], parts) if parts else None

    def _solve(self) -> AffineMaps:
        stitched_networks = [stitched for stitched in self._active if stitched in self._places]
        places = list(dict.fromkeys(self._places[stitched] for stitched in stitched_networks))
        if not places:
            return {}
        size = 8 * sum(prod(part.shape_a) + prod(part.shape_b) for place in places for part in place.parts)
        tops = {place.b: self._tops[place.b].folded for place in places}
        with split_time(stitched_networks):
            return match(self._folded, tops, places, self._some(FIT_IMAGES, min(CHUNK, FIT_BYTES // size)))

    def _some(self, count: int, most: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `count` training images, evenly spaced and normalised, with their labels, at most `most` at once."""
        rows = torch.from_numpy(evenly_spaced(self._rows, count)).to(self._images.train.device)
        return ((self._images.train_batch(part), self._images.train_labels[part]) for part in rows.split(max(most, 1)))

    def _start(self, affines: AffineMaps) -> None:
        """Set stitchers to the closed form: all of them in strict, in paper only those without trainable weights."""
        for stitched in self._active:
            stitcher, place = stitched.stitcher, self._places.get(stitched)
            solved = self._recipe.protocol == "strict" or not (stitched.steps and has_weights(stitcher))
            if place and solved and isinstance(stitcher, Starts):
                isolate_failures([stitched], lambda alone, forms=affines[place]: _begin(alone[0], forms))
        if listening := [stitched for stitched in self._active if isinstance(stitched.stitcher, Relative)]:
            self._relate(listening)

    def _relate(self, stitched_networks: Sequence[StitchedNetwork]) -> None:
        """Solve the relative stitchers: choose anchors, then fit the decoder on the images of the closed forms."""
        ((images, labels),) = self._some(CHUNK, CHUNK)
        with split_time(stitched_networks):
            of_a = bottom_activations(self._folded, images, labels, [stitched.cut for stitched in stitched_networks])
        for stitched, y in self._of_b(stitched_networks, images):
            isolate_failures([stitched], lambda alone, y=y: _relative(alone[0]).choose_anchors(of_a[alone[0].cut], y))
        for images, _ in self._some(FIT_IMAGES, CHUNK):
            for stitched, y in self._of_b(without_error(stitched_networks), images):
                isolate_failures([stitched], lambda alone, y=y: _relative(alone[0]).accumulate(y))
        for stitched in without_error(stitched_networks):
            isolate_failures([stitched], lambda alone: _relative(alone[0]).solve())

    def _of_b(
        self, stitched_networks: Sequence[StitchedNetwork], images: Tensor
    ) -> Iterator[tuple[StitchedNetwork, Tensor]]:
        """Yield each stitch with its top model's own activation at the cut, from one pass of each top."""
        of_top: dict[str, list[StitchedNetwork]] = {}
        for stitched in stitched_networks:
            of_top.setdefault(self._stitches[stitched].b.id, []).append(stitched)
        for key, members in of_top.items():
            cuts = {stitched: self._stitches[stitched].cut_b for stitched in members}
            with split_time(members):
                found = activations(self._tops[key].folded, images, cuts.values())
            yield from ((stitched, found[cut]) for stitched, cut in cuts.items())

    def _probe(self, place: Place, forms: Sequence[Affine]) -> StitchedNetwork:
        """Return the closed form as a stitched network, to be scored."""
        half = self._halves.setdefault((place.b, place.cut_b), top(self._tops[place.b].folded, place.cut_b))
        return StitchedNetwork(f"direct {place}", place.cut_a, ClosedFormStitcher(place, forms), half, 0, 0.0)

    def _feeds(self, stitched_networks: Sequence[StitchedNetwork]) -> tuple[Callable[[int], Batch], ActivationCache]:
        """Return the function from a step to A's activations, and the cache of the held-out images."""
        a, images, cuts = self._folded, self._images, self._cuts
        held_out = ActivationCache(a, images, evenly_spaced(self._stop_rows(), STOP_IMAGES), cuts, ACTIVATION_BUDGET)
        steps = max((stitched.steps for stitched in stitched_networks), default=0)
        if self._recipe.augment != "none" or steps * self._recipe.batch <= len(self._rows):  # no image comes twice
            return partial(train_batch, a, self._stream, cuts), held_out
        kept = ActivationCache(a, images, self._rows, cuts, ACTIVATION_BUDGET - held_out.bytes)
        return lambda step: kept.batch(self._stream.rows(step)), held_out

    def _stop_rows(self) -> np.ndarray:
        return stop_indices(self._data) if self._data.holdout else self._rows

    def _stop_data(self, stitched: StitchedNetwork) -> str:
        stitch = self._stitches[stitched]
        if self._recipe.protocol != "strict" or not trains(stitched) or not stitched.may_stop:
            return "none"
        seen = any(may_have_seen_held_back(model.training) for model in (stitch.a, stitch.b))
        return "seen" if seen or not self._data.holdout else "held_out"


def _begin(stitched: StitchedNetwork, forms: Sequence[Affine]) -> None:
    """Set a stitcher to the closed form."""
    assert isinstance(stitched.stitcher, Starts)
    stitched.stitcher.start(*forms)
    if isinstance(stitched.stitcher, Reads):
        stitched.read_covariances = stitched.stitcher.reads(*forms)


def _relative(stitched: StitchedNetwork) -> Relative:
    assert isinstance(stitched.stitcher, Relative)
    return stitched.stitcher
