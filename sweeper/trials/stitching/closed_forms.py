"""The closed forms of a group's stitches: solved once for each pair of cuts, scored, and set as stitchers' start."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

from sweeper.spec.cards.protocols import FIT_IMAGES
from sweeper.trials.networks.activation_batches import bottom_activations
from sweeper.trials.networks.network import CHUNK
from sweeper.trials.networks.scoring import Score
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.direct_matching import ClosedFormStitcher, MatchedCuts, match
from sweeper.trials.stitching.least_squares import Affine, explained_variance
from sweeper.trials.stitching.stitched_network import StitchedNetwork, isolate_failures, split_time, without_error
from sweeper.trials.stitching.stitchers.hooks import NeedsAnchors, ReportsReadCovariances, StartsAtClosedForm
from sweeper.trials.stitching.top_models import TopModels

FIT_BYTES = 2**30  # most bytes of float64 activations in memory while a closed form is solved


class ClosedForms:
    """The solved closed forms of stitches, each also as a stitched network to be scored."""

    def __init__(self, place_by_stitched: Mapping[StitchedNetwork, MatchedCuts], feeds: BottomFeeds, tops: TopModels):
        """Solve the closed forms.

        Args:
            place_by_stitched: The place of each stitch whose two activations have matching places.
            feeds: The bottom model and the images to solve on.
            tops: The top models.
        """
        self._place_by_stitched = place_by_stitched
        self.maps = _solve(place_by_stitched, feeds, tops)
        self._network_by_place = {
            place: StitchedNetwork(
                f"direct {place}",
                place.cut_a,
                ClosedFormStitcher(place, maps),
                tops.shared_top(place.b, place.cut_b),
                0,
                0.0,
            )
            for place, maps in self.maps.items()
        }

    @property
    def networks(self) -> list[StitchedNetwork]:
        """The closed forms as stitched networks."""
        return list(self._network_by_place.values())

    def start(self, stitched: StitchedNetwork) -> None:
        """Set a stitcher to its closed form, if it has one and can start there; an error is stored in `stitched`."""
        place = self._place_by_stitched.get(stitched)
        if place and isinstance(stitched.stitcher, StartsAtClosedForm):
            isolate_failures([stitched], lambda alone: _start(alone[0], self.maps[place]))

    def score_and_r2(
        self, stitched: StitchedNetwork, scores: Mapping[StitchedNetwork, Score]
    ) -> tuple[Score, float] | None:
        """Return the score and the r2 of a stitch's closed form, and add its share of the time to the stitch.

        Args:
            stitched: A stitched network.
            scores: The scores of `networks`, without those that failed.
        """
        place = self._place_by_stitched.get(stitched)
        if place is None or (score := scores.get(self._network_by_place[place])) is None:
            return None
        stitched.seconds += self._network_by_place[place].seconds / list(self._place_by_stitched.values()).count(place)
        return score, explained_variance(self.maps[place])


def _solve(
    place_by_stitched: Mapping[StitchedNetwork, MatchedCuts], feeds: BottomFeeds, tops: TopModels
) -> dict[MatchedCuts, tuple[Affine, ...]]:
    places = list(dict.fromkeys(place_by_stitched.values()))
    if not places:
        return {}
    bytes_per_image = 8 * sum(
        prod(part.bottom_shape) + prod(part.top_shape) for place in places for part in place.parts
    )
    folded_tops = {place.b: tops.networks[place.b].folded for place in places}
    with split_time(list(place_by_stitched)):
        images = feeds.sample_images(FIT_IMAGES, min(CHUNK, FIT_BYTES // bytes_per_image))
        return match(feeds.folded, folded_tops, places, images)


def _start(stitched: StitchedNetwork, maps: Sequence[Affine]) -> None:
    assert isinstance(stitched.stitcher, StartsAtClosedForm)
    stitched.stitcher.start(*maps)
    if isinstance(stitched.stitcher, ReportsReadCovariances):
        stitched.read_covariances = stitched.stitcher.reads(*maps)


def solve_anchored(stitched_networks: Sequence[StitchedNetwork], feeds: BottomFeeds, tops: TopModels) -> None:
    """Solve the stitchers that need anchors: choose these, then fit on the images of the closed forms."""
    anchored = [stitched for stitched in stitched_networks if isinstance(stitched.stitcher, NeedsAnchors)]
    if not anchored:
        return
    ((images, labels),) = feeds.sample_images(CHUNK, CHUNK)
    with split_time(anchored):
        x_by_cut = bottom_activations(feeds.folded, images, labels, [stitched.cut for stitched in anchored])
    for stitched, y in tops.activations(anchored, images):
        _isolated(stitched, lambda stitcher, x=x_by_cut[stitched.cut], y=y: stitcher.choose_anchors(x, y))
    for images, _ in feeds.sample_images(FIT_IMAGES, CHUNK):
        for stitched, y in tops.activations(without_error(anchored), images):
            _isolated(stitched, lambda stitcher, y=y: stitcher.accumulate(y))
    for stitched in without_error(anchored):
        _isolated(stitched, lambda stitcher: stitcher.solve())


def _isolated(stitched: StitchedNetwork, work: Callable[[NeedsAnchors], None]) -> None:
    """Call `work` with a stitcher that needs anchors; an error is stored in `stitched`."""
    stitcher = stitched.stitcher
    assert isinstance(stitcher, NeedsAnchors)
    isolate_failures([stitched], lambda _: work(stitcher))
