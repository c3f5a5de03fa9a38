"""The measures of a pack, on matching images and, for the null distribution, on permuted images."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from sweeper.spec.cards.card import Cut
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.task import Measurement
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.process.philox import Purpose, random_permutation
from sweeper.trials.similarity.activation_cache import NetworkActivations
from sweeper.trials.similarity.measures.evaluate import MeasurementResult, similarity
from sweeper.trials.similarity.measures.pair import Pair

T = TypeVar("T")

ACTIVATION_BUDGET = (
    2**30
)  # bytes of activations, and of quantities derived from them, cached for A and for one B at a time


class MeasurementGroup:
    """The measures of one bottom A with several tops.

    Where the activations fit `ACTIVATION_BUDGET`, A and each B are run once. Quantities derived from one activation
    (axes, distances) are reused for all its pairs, and quantities derived from a pair for all measures of the pair.
    """

    def __init__(self, measures: Sequence[Measurement], a: Network, tops: Mapping[str, Network], images: Images):
        """Take the measures, the bottom `a`, the tops by model id, and the images."""
        self._measures, self._a, self._tops, self._images = measures, a, tops, images
        self._shapes: defaultdict[Network, dict[str, Cut]] = defaultdict(dict)

    def run(self) -> Iterator[MeasurementResult]:
        """Yield each measurement as it ends, top by top."""
        valid = []
        for measure in self._measures:
            try:
                self._look_up(measure)
                valid.append(measure)
            except Exception as error:
                yield MeasurementResult(measure, error=error)
        a = self._activations_of(self._a)
        for measures_of_top in _group(valid, lambda measure: self._tops[measure.b.id]):
            network = self._tops[measures_of_top[0].b.id]
            b = a if network is self._a else self._activations_of(network)
            for cell in _group(measures_of_top, lambda measure: (measure.cut_a, measure.cut_b)):
                yield from _cell(cell, a, b)
                a.trim()
                b.trim()

    def _look_up(self, measure: Measurement) -> None:
        """Record the cuts of a measure.

        Raises:
            KeyError: for a cut that the network doesn't have.
            ValueError: for shapes that the measure can't compare.
        """
        ends = cut_of(measure.a, measure.cut_a), cut_of(measure.b, measure.cut_b)
        options = dict(measure.options)
        if reason := MEASURES[measure.measure].misfit(ends[0].shape, ends[1].shape, options):
            raise ValueError(reason)
        for network, cut in zip((self._a, self._tops[measure.b.id]), ends, strict=True):
            self._shapes[network][cut.name] = cut

    def _activations_of(self, network: Network) -> NetworkActivations:
        cuts = sorted(self._shapes[network].values(), key=lambda cut: cut.depth)
        return NetworkActivations(network, self._images, {cut.name: cut.shape for cut in cuts}, ACTIVATION_BUDGET)


def null_order(draw: int, images: int, device: torch.device) -> Tensor:
    """Return the draw-th permutation of B's images, int64 (images,), the same for all pairs and measures."""
    return torch.from_numpy(random_permutation(0, Purpose.NULL, draw, images)).to(device)


def _cell(measures: Sequence[Measurement], a: NetworkActivations, b: NetworkActivations) -> list[MeasurementResult]:
    """Return all measurements of one pair of activations, with those under each permutation, which they share."""
    measurements = [MeasurementResult(measure) for measure in measures]
    pair = _timed(measurements, lambda: Pair(a.at(measures[0].cut_a), b.at(measures[0].cut_b)))
    if pair is None:
        return measurements
    for measurement in measurements:
        measurement.value = _evaluate(measurement, pair)
    for draw in range(max(measure.null for measure in measures)):
        permuted = [item for item in measurements if item.measure.null > draw and item.error is None]
        if permuted:
            order = null_order(draw, len(pair), pair.b.by_place.device)
            shuffled = Pair(pair.a, pair.b, order)
            for measurement in permuted:
                measurement.null.append(_evaluate(measurement, shuffled))
    return measurements


def _evaluate(measurement: MeasurementResult, pair: Pair) -> float:
    measure = measurement.measure
    value = _timed([measurement], lambda: similarity(pair, measure.measure, dict(measure.options)))
    return 0.0 if value is None else value


def _timed(sharing: Sequence[MeasurementResult], work: Callable[[], T]) -> T | None:
    """Return the result of `work`, or None where it raises; the exception is stored in each measurement's `error`.

    The elapsed time is divided equally between the measurements that share the work.
    """
    start = perf_counter()
    try:
        return work()
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        for measurement in sharing:
            measurement.error = error
        return None
    finally:
        for measurement in sharing:
            measurement.seconds += (perf_counter() - start) / len(sharing)


def _group(measures: Iterable[Measurement], key: Callable[[Measurement], Hashable]) -> list[list[Measurement]]:
    """Group measures by a key, in the order in which the keys first occur."""
    groups: dict[Hashable, list[Measurement]] = {}
    for measure in measures:
        groups.setdefault(key(measure), []).append(measure)
    return list(groups.values())
