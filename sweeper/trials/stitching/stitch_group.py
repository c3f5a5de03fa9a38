"""Groups of stitches that share a stream of images, and the training and evaluation of a group."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from sweeper.spec.cards import user_stitchers
from sweeper.spec.records.task import Groups, Stitch
from sweeper.trials.data.stream import Stream
from sweeper.trials.data.subset import may_have_seen_held_back, stop_indices, train_indices
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.networks.finite import check_parameters, named_in_errors
from sweeper.trials.networks.label_codes import LabelCodes
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.networks.noise_images import with_pixels_of_other_images
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.closed_forms import ClosedForms, solve_anchored
from sweeper.trials.stitching.direct_matching import MatchedCuts
from sweeper.trials.stitching.group_saving import GroupSaving
from sweeper.trials.stitching.protocol import PROTOCOLS
from sweeper.trials.stitching.stitched_network import (
    FailedStitch,
    FinishedStitch,
    StitchedNetwork,
    Target,
    share_failure,
    split_time,
    trains,
    without_error,
)
from sweeper.trials.stitching.top_models import TopModels


class StreamKey(NamedTuple):
    """The settings that stitches must share to be trained from one pass of A."""

    protocol: str
    labels: Groups  # the groups of classes of B's training, with which the stitch is trained and evaluated
    source: str  # the images that train the stitcher: "full", "all", or those of the training run with this id
    seed: int
    batch: int
    augment: str
    sender: str


def group_by_stream(stitches: Sequence[Stitch]) -> list[list[Stitch]]:
    """Group stitches that can share one pass of A, in order of first appearance."""
    groups: dict[StreamKey, list[Stitch]] = {}
    for stitch in stitches:
        groups.setdefault(stream_key(stitch), []).append(stitch)
    return list(groups.values())


def stream_key(stitch: Stitch) -> StreamKey:
    """Return the settings that a stitch shares with those of its stream."""
    recipe, labels, source = stitch.recipe, stitch.b.training.labels, _image_source(stitch)
    return StreamKey(recipe.protocol, labels, source, recipe.seed, recipe.batch, recipe.augment, recipe.sender)


def _image_source(stitch: Stitch) -> str:
    """Return "full", "all", or the training run whose images train the stitcher.

    An untrained top has no images of its own, so its stitcher gets those of "full".
    """
    if stitch.recipe.data == "top":
        return stitch.b.training.id if stitch.b.step else "full"
    return stitch.recipe.data


class StitchGroup:
    """Stitches with the same bottom model that share a stream of images.

    The images that train the stitchers carry their true labels, grouped as in B's training. They are the training split
    without its holdout (`full`) or with it (`all`), or the subset that B was trained on (`top`). The closed form is
    solved on some of them, unaugmented.
    """

    def __init__(self, stitches: Sequence[Stitch], a: Network, tops: Mapping[str, Network], images: Images):
        """Build the stitched networks; a stitch whose network can't be built is yielded by `run` as failed.

        Args:
            stitches: One of the lists that `group_by_stream` returns.
            a: The bottom model.
            tops: The top models by model id.
            images: The images with the data set's own labels, on the same device as the networks.
        """
        self._a, self._tops = a, TopModels(tops)
        self._images = images.with_grouped_labels(stitches[0].b.training.labels)
        self._recipe, self._data = stitches[0].recipe, stitches[0].a.training.data
        self._protocol = PROTOCOLS[self._recipe.protocol]
        self._stitches: dict[StitchedNetwork, Stitch] = {}
        self._unbuilt: list[FailedStitch] = []
        self._reported: set[StitchedNetwork] = set()  # those that were yielded as failed
        for stitch in stitches:
            try:
                self._stitches[self._build_stitched(stitch)] = stitch
            except Exception as error:
                self._unbuilt.append(FailedStitch(stitch, error))
        self._feeds = self._bottom_feeds(_train_rows(stitches[0]))

    def run(self, saving: GroupSaving | None = None) -> Iterator[FinishedStitch | FailedStitch]:
        """Yield each stitch when it ends, in no fixed order; raise any error of the work that all of them share.

        Args:
            saving: Saves the states of the group, and has one if the group is to go on from it.

        Raises:
            StateError: That state doesn't fit.
        """
        with split_time(self._active), named_in_errors("A itself on the test images"):
            _ = self._a.score
        self._tops.score(self._active)
        closed_forms = self._solve()
        for stitched in self._active:
            if self._protocol.starts_at_closed_form(stitched):
                closed_forms.start(stitched)
        solve_anchored(self._active, self._feeds, self._tops)
        networks, saving = (self._active, closed_forms.networks), saving or GroupSaving()
        for scores in self._protocol.train_and_score(*networks, self._feeds, self._tops, saving):
            for stitched in (stitched for stitched in scores if stitched in self._stitches):
                with share_failure([stitched]):
                    check_parameters("the trained weights", stitched.trained_modules)
                if stitched.error:
                    continue
                direct, stop_data = closed_forms.score_and_r2(stitched, scores), self._stop_data(stitched)
                yield FinishedStitch(self._stitches[stitched], stitched, scores[stitched], direct, stop_data)
            yield from self._newly_failed()
        yield from self._newly_failed()
        yield from self._unbuilt

    def _newly_failed(self) -> Iterator[FailedStitch]:
        """Yield the stitches that have failed since the last call."""
        for stitched, stitch in self._stitches.items():
            if stitched.error and stitched not in self._reported:
                self._reported.add(stitched)
                yield FailedStitch(stitch, stitched.error)

    @property
    def _active(self) -> list[StitchedNetwork]:
        return without_error(self._stitches)

    def _build_stitched(self, stitch: Stitch) -> StitchedNetwork:
        """Return the stitched network, its stitcher initialised with a seed from the task's id.

        Raises:
            ValueError: If the stitcher does not fit the shapes. Errors of the builder pass through.
        """
        recipe = stitch.recipe
        top_cut = cut_of(stitch.b, stitch.cut_b)
        shapes = cut_of(stitch.a, stitch.cut_a).shape, top_cut.shape
        card = user_stitchers.card_with_builder(recipe)
        if reason := card.misfit(*shapes, dict(recipe.options)):
            raise ValueError(reason)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(stitch.id[:15], 16))
            stitcher = import_builder(card.builder)(*shapes, dict(recipe.options))
        return StitchedNetwork(
            stitch.id,
            stitch.cut_a,
            stitcher.to(self._images.train.device),
            self._top(stitch),
            recipe.steps,
            recipe.lr,
            Target(stitch.b.id, stitch.cut_b),
            may_stop=recipe.stop == "held_out",
            trains_top=recipe.train == "top",
            affine_top=bool(top_cut.affine_top),
        )

    def _top(self, stitch: Stitch) -> nn.Module:
        """Return B's layers after the cut: this stitch's own module if its protocol needs one, else a shared one."""
        if stitch.recipe.steps:
            b, trains_top = self._tops.networks[stitch.b.id], stitch.recipe.train == "top"
            if (own_top := self._protocol.own_top(b, stitch.cut_b, trains_top)) is not None:
                return own_top
        return self._tops.shared_top(stitch.b.id, stitch.cut_b)

    def _bottom_feeds(self, train_rows: np.ndarray) -> BottomFeeds:
        """Return the feeds of the bottom model: A itself, A with other images, or codes of the labels."""
        images = bottom_images = self._images
        cuts_by_depth = sorted(
            (cut_of(self._stitches[stitched].a, stitched.cut) for stitched in self._active), key=lambda cut: cut.depth
        )
        cuts = {cut.name: cut.shape for cut in cuts_by_depth}
        unfolded, folded = self._a.unfolded, self._a.folded
        if self._recipe.sender == "label":
            unfolded = folded = LabelCodes(cuts, self._data.classes, self._recipe.seed).to(images.train.device)
        elif self._recipe.sender == "noise":
            bottom_images = with_pixels_of_other_images(images, self._recipe.seed)
        stream = Stream(
            bottom_images.train,
            bottom_images.train_labels,
            batch=self._recipe.batch,
            seed=self._recipe.seed,
            augment=self._recipe.augment,
            mean=images.mean,
            std=images.std,
            device=images.train.device,
            indices=train_rows,
        )
        held_out_rows = stop_indices(self._data) if self._data.holdout else train_rows
        return BottomFeeds(unfolded, folded, cuts, images, bottom_images, stream, held_out_rows)

    def _solve(self) -> ClosedForms:
        cuts_by_stitched = {stitched: _matched_cuts(self._stitches[stitched]) for stitched in self._active}
        matched_only = {stitched: cuts for stitched, cuts in cuts_by_stitched.items() if cuts}
        return ClosedForms(matched_only, self._feeds, self._tops)

    def _stop_data(self, stitched: StitchedNetwork) -> str:
        stitch = self._stitches[stitched]
        if not (self._protocol.stops_early and trains(stitched) and stitched.may_stop):
            return "none"
        seen_by_a_or_b = any(may_have_seen_held_back(model.training) for model in (stitch.a, stitch.b))
        seen_by_stitcher = stitch.recipe.data == "all" or not self._data.holdout
        return "seen" if seen_by_a_or_b or seen_by_stitcher else "held_out"


def _train_rows(stitch: Stitch) -> np.ndarray:
    """Return the training images that train the stitcher."""
    data = stitch.a.training.data
    match _image_source(stitch):
        case "full":
            return np.arange(data.train - data.holdout)
        case "all":
            return np.arange(data.train)
        case _:
            return train_indices(stitch.b.training)


def _matched_cuts(stitch: Stitch) -> MatchedCuts | None:
    """Return the cuts that the closed form is solved between; None if the places of the activations do not match."""
    bottom_shape, top_shape = cut_of(stitch.a, stitch.cut_a).shape, cut_of(stitch.b, stitch.cut_b).shape
    parts = user_stitchers.card_with_builder(stitch.recipe).parts(bottom_shape, top_shape, dict(stitch.recipe.options))
    return MatchedCuts(stitch.cut_a, stitch.b.id, stitch.cut_b, top_shape, parts) if parts else None
