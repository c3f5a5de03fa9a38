"""The stitches of a pack: grouped by the stream of images they share, each group trained and judged together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.task import Groups, Stitch
from sweeper.trials import paper, strict
from sweeper.trials.builder import find
from sweeper.trials.cut import top
from sweeper.trials.data.subset import stop_indices, takes_held_back, train_indices
from sweeper.trials.direct import Applied, Place, match, matches
from sweeper.trials.feeds import ACTIVATION_BUDGET, Kept, evenly, fresh, tested
from sweeper.trials.networks import CHUNK, Images, Network
from sweeper.trials.receipts import cut_of
from sweeper.trials.solve import Affine
from sweeper.trials.stitch import Batch, Ended, Joint, Score, judge, living, shared, trains
from sweeper.trials.stitchers.affine import BetweenNorms, Linear
from sweeper.trials.stream import Stream

FIT_IMAGES = 5_000  # that the closed form is solved on
STOP_IMAGES = 1_000  # held-out images that decide when to stop: a look then costs as much as three steps of training


class Shared(NamedTuple):
    """What stitches must agree in to be fed by one pass of A."""

    protocol: str
    labels: Groups  # B's: they train the stitcher and judge the stitch
    source: str  # whose images train the stitcher: "full", or a training run's id
    seed: int
    batch: int
    augment: str


def grouped(stitches: Sequence[Stitch]) -> list[list[Stitch]]:
    """Stitches by what feeds them, in order of first appearance."""
    groups: dict[Shared, list[Stitch]] = {}
    for stitch in stitches:
        recipe = stitch.recipe
        key = Shared(
            recipe.protocol, stitch.b.training.labels, _source(stitch), recipe.seed, recipe.batch, recipe.augment
        )
        groups.setdefault(key, []).append(stitch)
    return list(groups.values())


def _source(stitch: Stitch) -> str:
    """A top that was never trained has no images of its own: its stitcher takes them all."""
    return stitch.b.training.id if stitch.recipe.data == "top" and stitch.b.step else "full"


class Group:
    """Stitches of one sender that share a stream.

    The stitcher's images carry their true labels, grouped as B's training groups them: all of the training split but
    its holdout (`full`), or the subset that B was trained on (`top`). The closed form is solved on some, unaugmented.
    """

    def __init__(self, stitches: Sequence[Stitch], a: Network, tops: Mapping[str, Network], images: Images):
        """tops: receivers by model id; images: with the data set's own labels. All lie on one device."""
        images = images.labelled(stitches[0].b.training.labels)
        self._a, self._tops, self._images = a, tops, images
        self._recipe, self._data = stitches[0].recipe, stitches[0].a.training.data
        self._rows = self._train_rows(stitches[0])
        self._halves: dict[tuple[str, str], nn.Module] = {}
        self._stitches = {self._joint(stitch): stitch for stitch in stitches}
        self._cuts = self._cuts_in_order()
        self._places = {joint: place for joint in self._alive if (place := self._place(joint))}
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

    def run(self) -> Iterator[Ended]:
        """Each stitch as it ends, in no order. Raises what breaks the work that all of them share."""
        with shared(self._alive):
            _ = self._a.score
        for key in dict.fromkeys(self._stitches[joint].b.id for joint in self._alive):
            with shared([joint for joint in self._alive if self._stitches[joint].b.id == key]):
                _ = self._tops[key].score
        affines = self._solve()
        probes = {self._probe(place, affine): place for place, affine in affines.items()}
        if self._recipe.protocol == "strict":
            yield from self._strict(affines, probes)
        else:
            yield from self._paper(affines, probes)
        for joint, stitch in self._stitches.items():
            if joint.error:
                yield Ended(stitch, joint)

    def _strict(self, affines: Mapping[Place, Affine], probes: Mapping[Joint, Place]) -> Iterator[Ended]:
        joints = self._alive
        for joint in joints:
            if joint in self._places and isinstance(joint.stitcher, Linear | BetweenNorms):
                joint.stitcher.start(affines[self._places[joint]])
        batch, held_out = self._feeds(joints)
        for _ in strict.train(joints, batch, held_out):
            pass
        scores = judge([*living(joints), *probes], tested(self._a.folded, self._images, self._cuts))
        yield from self._ended(living(joints), scores, affines, probes)

    def _paper(self, affines: Mapping[Place, Affine], probes: Mapping[Joint, Place]) -> Iterator[Ended]:
        scores = judge(list(probes), tested(self._a.folded, self._images, self._cuts))
        a = paper.moving(self._a.whole)
        for ended in paper.train(self._alive, partial(fresh, a, self._stream, self._cuts)):
            found = judge(living(ended), tested(a.eval(), self._images, self._cuts))
            a.train()
            yield from self._ended(living(ended), scores | found, affines, probes)

    def _ended(
        self,
        joints: Sequence[Joint],
        scores: Mapping[Joint, Score],
        affines: Mapping[Place, Affine],
        probes: Mapping[Joint, Place],
    ) -> Iterator[Ended]:
        probe_of = {place: probe for probe, place in probes.items()}
        for joint in joints:
            place, direct = self._places.get(joint), None
            if place and (score := scores.get(probe_of[place])):
                joint.seconds += probe_of[place].seconds / list(self._places.values()).count(place)
                direct = score, affines[place]
            yield Ended(self._stitches[joint], joint, scores[joint], direct, self._stop_data(joint))

    @property
    def _alive(self) -> list[Joint]:
        return living(self._stitches)

    def _cuts_in_order(self) -> dict[str, Shape]:
        """A's cuts that any stitch is at, with their shapes, the deepest last."""
        cuts = [cut_of(self._stitches[joint].a, joint.cut) for joint in self._alive]
        return {cut.name: cut.shape for cut in sorted(cuts, key=lambda cut: cut.depth)}

    def _train_rows(self, stitch: Stitch) -> np.ndarray:
        if _source(stitch) == "full":
            return np.arange(self._data.train - self._data.holdout)
        return train_indices(stitch.b.training)

    def _joint(self, stitch: Stitch) -> Joint:
        """The stitch with its stitcher at its random initialisation, which the task's own id decides."""
        recipe = stitch.recipe
        try:
            shapes = cut_of(stitch.a, stitch.cut_a).shape, cut_of(stitch.b, stitch.cut_b).shape
            card = STITCHERS[recipe.stitcher]
            if reason := card.misfit(*shapes, dict(recipe.options)):
                raise ValueError(reason)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(int(stitch.id[:15], 16))
                stitcher = find(card.builder)(*shapes, dict(recipe.options))
            stitcher = stitcher.to(self._images.train.device)
            return Joint(stitch.id, stitch.cut_a, stitcher, self._top(stitch), recipe.steps, recipe.lr)
        except Exception as error:
            return Joint(stitch.id, stitch.cut_a, nn.Identity(), nn.Identity(), 0, 0.0, error=error)

    def _top(self, stitch: Stitch) -> nn.Module:
        """B's layers after the cut: folded and one for all stitches (strict), or with norms of its own (paper)."""
        b = self._tops[stitch.b.id]
        if stitch.recipe.protocol == "paper" and stitch.recipe.steps:
            return paper.moving(top(b.whole, stitch.cut_b))
        return self._halves.setdefault((stitch.b.id, stitch.cut_b), top(b.folded, stitch.cut_b))

    def _place(self, joint: Joint) -> Place | None:
        """Where the closed form is to be solved; None where the two activations don't match pixel for pixel."""
        stitch = self._stitches[joint]
        shapes = cut_of(stitch.a, stitch.cut_a).shape, cut_of(stitch.b, stitch.cut_b).shape
        return (stitch.cut_a, stitch.b.id, stitch.cut_b) if matches(*shapes) else None

    def _solve(self) -> dict[Place, Affine]:
        joints = [joint for joint in self._alive if joint in self._places]
        places = list(dict.fromkeys(self._places[joint] for joint in joints))
        if not places:
            return {}
        rows = torch.from_numpy(evenly(self._rows, FIT_IMAGES)).to(self._images.train.device)
        batches = (self._images.train_batch(part) for part in rows.split(CHUNK))
        tops = {key: self._tops[key].folded for _, key, _ in places}
        with shared(joints):
            return match(self._a.folded, tops, places, batches)

    def _probe(self, place: Place, affine: Affine) -> Joint:
        """The closed form as a stitched network of its own."""
        cut_a, b, cut_b = place
        half = self._halves.setdefault((b, cut_b), top(self._tops[b].folded, cut_b))
        return Joint(f"direct {place}", cut_a, Applied(affine), half, 0, 0.0)

    def _feeds(self, joints: Sequence[Joint]) -> tuple[Callable[[int], Batch], Kept]:
        """A's tensors for a step, and for the held-out images."""
        a, images, cuts = self._a.folded, self._images, self._cuts
        held_out = Kept(a, images, evenly(self._stop_rows(), STOP_IMAGES), cuts, ACTIVATION_BUDGET)
        steps = max((joint.steps for joint in joints), default=0)
        if self._recipe.augment != "none" or steps * self._recipe.batch <= len(self._rows):  # no image comes twice
            return partial(fresh, a, self._stream, cuts), held_out
        kept = Kept(a, images, self._rows, cuts, ACTIVATION_BUDGET - held_out.bytes)
        return lambda step: kept.batch(self._stream.rows(step)), held_out

    def _stop_rows(self) -> np.ndarray:
        return stop_indices(self._data) if self._data.holdout else self._rows

    def _stop_data(self, joint: Joint) -> str:
        stitch = self._stitches[joint]
        if self._recipe.protocol != "strict" or not trains(joint):
            return "none"
        seen = any(takes_held_back(model.training) for model in (stitch.a, stitch.b))
        return "seen" if seen or not self._data.holdout else "held_out"
