"""The closed forms of a group's stitches: solved once for each pair of cuts, scored, and stitchers set to them."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

from sweeper.spec.cards.protocols import FIT_IMAGES
from sweeper.trials.networks.activation_batches import bottom_activations
from sweeper.trials.networks.network import CHUNK
from sweeper.trials.networks.scoring import Score
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.direct_matching import ClosedFormStitcher, MatchedCuts, match
from sweeper.trials.stitching.least_squares import Affine, explained_variance
from sweeper.trials.stitching.stitched_network import (
    ClosedFormOfChannels,
    StitchedNetwork,
    isolate_failures,
    split_time,
    without_error,
)
from sweeper.trials.stitching.stitchers.hooks import NeedsAnchors, ReportsReadCovariances, StartsAtClosedForm
from sweeper.trials.stitching.top_models import TopModels

FIT_BYTES = 2**30  # the largest number of bytes of float64 activations in memory while a closed form is solved


class ClosedForms:
    """The solved closed forms of stitches, each also as a stitched network to be scored."""

    def __init__(self, cuts_by_stitched: Mapping[StitchedNetwork, MatchedCuts], feeds: BottomFeeds, tops: TopModels):
        """Solve the closed forms. If that of a pair of cuts fails, so do its stitches.

        Args:
            cuts_by_stitched: The pair of cuts of each stitch whose two activations have matching places.
            feeds: The bottom model and the images that the closed forms are solved on.
            tops: The top models.
        """
        self._cuts_by_stitched, self._bottom_shapes = cuts_by_stitched, feeds.cuts
        results = _solve(cuts_by_stitched, feeds, tops)
        self.maps = {cuts: maps for cuts, maps in results.items() if isinstance(maps, tuple)}
        for stitched, cuts in cuts_by_stitched.items():
            if isinstance(error := results[cuts], Exception):
                stitched.error = error
        self._network_by_cuts = {
            cuts: StitchedNetwork(
                f"direct {cuts}",
                cuts.cut_a,
                ClosedFormStitcher(cuts, maps),
                tops.shared_top(cuts.b, cuts.cut_b),
                0,
                0.0,
            )
            for cuts, maps in self.maps.items()
        }

    @property
    def networks(self) -> list[StitchedNetwork]:
        """The closed forms as stitched networks."""
        return list(self._network_by_cuts.values())

    def start(self, stitched: StitchedNetwork) -> None:
        """Set a stitcher to its closed form, if it has one and can start there; an error is stored in `stitched`."""
        cuts = self._cuts_by_stitched.get(stitched)
        if cuts and isinstance(stitched.stitcher, StartsAtClosedForm):
            isolate_failures([stitched], lambda single: _start(single[0], self.maps[cuts]))
            if len(cuts.parts) == 1:
                (part,), (form,) = cuts.parts, self.maps[cuts]
                bottom_shape = self._bottom_shapes[cuts.cut_a]
                stitched.closed_form = ClosedFormOfChannels(form, part, bottom_shape, cuts.top_shape)

    def score_and_r2(
        self, stitched: StitchedNetwork, scores: Mapping[StitchedNetwork, Score]
    ) -> tuple[Score, float] | None:
        """Return the score and the r2 of a stitch's closed form, and add its share of the time to the stitch.

        Args:
            stitched: A stitched network.
            scores: The scores of `networks`, without those that failed.
        """
        cuts = self._cuts_by_stitched.get(stitched)
        if cuts is None or (score := scores.get(self._network_by_cuts[cuts])) is None:
            return None
        stitch_count = list(self._cuts_by_stitched.values()).count(cuts)
        stitched.seconds += self._network_by_cuts[cuts].seconds / stitch_count
        return score, explained_variance(self.maps[cuts])


def _solve(
    cuts_by_stitched: Mapping[StitchedNetwork, MatchedCuts], feeds: BottomFeeds, tops: TopModels
) -> dict[MatchedCuts, tuple[Affine, ...] | Exception]:
    all_cuts = list(dict.fromkeys(cuts_by_stitched.values()))
    if not all_cuts:
        return {}
    parts = [part for cuts in all_cuts for part in cuts.parts]
    bytes_per_image = 8 * sum(prod(part.bottom_shape) + prod(part.top_shape) for part in parts)
    folded_tops = {cuts.b: tops.networks[cuts.b].folded for cuts in all_cuts}
    with split_time(list(cuts_by_stitched)):
        images = feeds.sample_images(FIT_IMAGES, min(CHUNK, FIT_BYTES // bytes_per_image))
        return match(feeds.folded, folded_tops, all_cuts, images)


def _start(stitched: StitchedNetwork, maps: Sequence[Affine]) -> None:
    assert isinstance(stitched.stitcher, StartsAtClosedForm)
    stitched.stitcher.start(*maps)
    if isinstance(stitched.stitcher, ReportsReadCovariances):
        stitched.read_covariances = stitched.stitcher.reads(*maps)
        stitched.explained = explained_variance(maps)


def solve_anchored(stitched_networks: Sequence[StitchedNetwork], feeds: BottomFeeds, tops: TopModels) -> None:
    """Choose the anchors of the stitchers that need them, then solve these on the images of the closed forms."""
    anchored = [s for s in without_error(stitched_networks) if isinstance(s.stitcher, NeedsAnchors)]
    if not anchored:
        return
    ((bottom_images, images, labels),) = feeds.sample_images(CHUNK, CHUNK)
    with split_time(anchored):
        bottom_by_cut = bottom_activations(feeds.folded, bottom_images, labels, [stitched.cut for stitched in anchored])
    for stitched, top in tops.activations(anchored, images):
        cut = stitched.cut
        _call_isolated(stitched, lambda stitcher, cut=cut, top=top: stitcher.choose_anchors(bottom_by_cut[cut], top))
    for _, images, _ in feeds.sample_images(FIT_IMAGES, CHUNK):
        for stitched, top in tops.activations(without_error(anchored), images):
            _call_isolated(stitched, lambda stitcher, top=top: stitcher.accumulate(top))
    for stitched in without_error(anchored):
        _call_isolated(stitched, lambda stitcher: stitcher.solve())


def _call_isolated(stitched: StitchedNetwork, work: Callable[[NeedsAnchors], None]) -> None:
    """Call `work` with a stitcher that needs anchors; an error is stored in `stitched`."""
    stitcher = stitched.stitcher
    assert isinstance(stitcher, NeedsAnchors)
    isolate_failures([stitched], lambda _: work(stitcher))
