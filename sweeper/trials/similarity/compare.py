"""Measures of a pack: which activations meet, with their images in place and, for a null, out of place."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from sweeper.spec.cards.card import Cut
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.task import Measure
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.process.philox import Purpose, permutation
from sweeper.trials.receipts import cut_of
from sweeper.trials.similarity.activation_cache import Gallery
from sweeper.trials.similarity.measures.measurement import Compared, similarity
from sweeper.trials.similarity.measures.pair import Pair
from sweeper.trials.stitching.stitched_network import clock

T = TypeVar("T")

HELD = 2**30  # bytes of activations, and of what is derived from them, that are kept of A, and of one B at a time


class Comparison:
    """Measures of one sender.

    One pass of A and one of each B serve all that fits `HELD`. What measures derive from an activation (its axes, its
    distances) serves every other that it meets; what they derive from a pair, all measures of the pair.
    """

    def __init__(self, measures: Sequence[Measure], a: Network, tops: Mapping[str, Network], images: Images):
        """tops: receivers by model id."""
        self._measures, self._a, self._tops, self._images = measures, a, tops, images
        self._shapes: defaultdict[Network, dict[str, Cut]] = defaultdict(dict)

    def run(self) -> Iterator[Compared]:
        """Each measurement as it ends, receiver by receiver."""
        known = []
        for measure in self._measures:
            try:
                self._look_up(measure)
                known.append(measure)
            except Exception as error:
                yield Compared(measure, error=error)
        a = self._gallery(self._a)
        for received in _alike(known, lambda measure: self._tops[measure.b.id]):
            network = self._tops[received[0].b.id]
            b = a if network is self._a else self._gallery(network)
            for cell in _alike(received, lambda measure: (measure.cut_a, measure.cut_b)):
                yield from _cell(cell, a, b)
                a.trim()
                b.trim()

    def _look_up(self, measure: Measure) -> None:
        """Raises KeyError for a cut that isn't there, ValueError for shapes that the measure can't compare."""
        ends = cut_of(measure.a, measure.cut_a), cut_of(measure.b, measure.cut_b)
        options = dict(measure.options)
        if reason := MEASURES[measure.measure].misfit(ends[0].shape, ends[1].shape, options):
            raise ValueError(reason)
        for network, cut in zip((self._a, self._tops[measure.b.id]), ends, strict=True):
            self._shapes[network][cut.name] = cut

    def _gallery(self, network: Network) -> Gallery:
        cuts = sorted(self._shapes[network].values(), key=lambda cut: cut.depth)
        return Gallery(network, self._images, {cut.name: cut.shape for cut in cuts}, HELD)


def null_order(draw: int, images: int, device: torch.device) -> Tensor:
    """The images of B in the draw-th permutation, int64 (images,): the same for all pairs and measures."""
    return torch.from_numpy(permutation(0, Purpose.NULL, draw, images)).to(device)


def _cell(measures: Sequence[Measure], a: Gallery, b: Gallery) -> list[Compared]:
    """All measures of one pair of activations; under each permutation too, so that they share what it costs anew."""
    found = [Compared(measure) for measure in measures]
    pair = _timed(found, lambda: Pair(a.at(measures[0].cut_a), b.at(measures[0].cut_b)))
    if pair is None:
        return found
    for each in found:
        each.value = _evaluated(each, pair)
    for draw in range(max(measure.null for measure in measures)):
        asked = [each for each in found if each.measure.null > draw and each.error is None]
        if asked:
            order = null_order(draw, len(pair), pair.y.by_place.device)
            shuffled = Pair(pair.x, pair.y, order)
            for each in asked:
                each.null.append(_evaluated(each, shuffled))
    return found


def _evaluated(each: Compared, pair: Pair) -> float:
    measure = each.measure
    value = _timed([each], lambda: similarity(pair, measure.measure, dict(measure.options)))
    return 0.0 if value is None else value


def _timed(sharing: Sequence[Compared], work: Callable[[], T]) -> T | None:
    """What the work returns, its wall clock counted in equal shares. What it raises is kept in each `error`: None."""
    start = clock()
    try:
        return work()
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        for each in sharing:
            each.error = error
        return None
    finally:
        for each in sharing:
            each.seconds += (clock() - start) / len(sharing)


def _alike(measures: Iterable[Measure], key: Callable[[Measure], Hashable]) -> list[list[Measure]]:
    """Measures of one key together, in the order in which keys come."""
    groups: dict[Hashable, list[Measure]] = {}
    for measure in measures:
        groups.setdefault(key(measure), []).append(measure)
    return list(groups.values())
