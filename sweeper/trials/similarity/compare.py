"""The measurements of a pack, on matching images and, for the null distribution, on permuted images."""

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

# Bytes of activations, and of quantities derived from them, cached for A and for one B at a time.
ACTIVATION_BUDGET = 2**30


class MeasurementGroup:
    """The measurements of one bottom A with several tops.

    Where the activations fit `ACTIVATION_BUDGET`, A and each B are run once. Quantities derived from one activation
    (axes, distances) are reused for all its pairs, and quantities derived from a pair for all measurements of the pair.
    """

    def __init__(self, measurements: Sequence[Measurement], a: Network, tops: Mapping[str, Network], images: Images):
        """Prepare the measurements; nothing is computed before `run`.

        Args:
            measurements: Measurements that all have `a` as their bottom.
            a: The bottom model.
            tops: The top models by model id.
            images: The data set, of which the test images are used.
        """
        self._measurements, self._a, self._tops, self._images = measurements, a, tops, images
        self._shapes: defaultdict[Network, dict[str, Cut]] = defaultdict(dict)

    def run(self) -> Iterator[MeasurementResult]:
        """Yield the result of each measurement as it ends, top by top."""
        valid = []
        for measurement in self._measurements:
            try:
                self._look_up(measurement)
                valid.append(measurement)
            except Exception as error:
                yield MeasurementResult(measurement, error=error)
        a = self._activations_of(self._a)
        for measurements_of_top in _group(valid, lambda measurement: self._tops[measurement.b.id]):
            network = self._tops[measurements_of_top[0].b.id]
            b = a if network is self._a else self._activations_of(network)
            by_cuts = _group(measurements_of_top, lambda measurement: (measurement.cut_a, measurement.cut_b))
            for measurements_of_pair in by_cuts:
                yield from _measure_pair(measurements_of_pair, a, b)
                a.trim()
                b.trim()

    def _look_up(self, measurement: Measurement) -> None:
        """Record the cuts of a measurement.

        Raises:
            KeyError: If the network has no such cut.
            ValueError: If the measure can't compare the shapes.
        """
        cuts = cut_of(measurement.a, measurement.cut_a), cut_of(measurement.b, measurement.cut_b)
        options = dict(measurement.options)
        if reason := MEASURES[measurement.measure].misfit(cuts[0].shape, cuts[1].shape, options):
            raise ValueError(reason)
        for network, cut in zip((self._a, self._tops[measurement.b.id]), cuts, strict=True):
            self._shapes[network][cut.name] = cut

    def _activations_of(self, network: Network) -> NetworkActivations:
        cuts = sorted(self._shapes[network].values(), key=lambda cut: cut.depth)
        return NetworkActivations(network, self._images, {cut.name: cut.shape for cut in cuts}, ACTIVATION_BUDGET)


def null_order(draw: int, images: int, device: torch.device) -> Tensor:
    """Return the draw-th permutation of B's images, int64 (images,), the same for all pairs and measures."""
    return torch.from_numpy(random_permutation(0, Purpose.NULL, draw, images)).to(device)


def _measure_pair(
    measurements: Sequence[Measurement], a: NetworkActivations, b: NetworkActivations
) -> list[MeasurementResult]:
    """Return the results of all measurements of one pair of activations, which share its permutations."""
    results = [MeasurementResult(measurement) for measurement in measurements]
    pair = _timed(results, lambda: Pair(a.at(measurements[0].cut_a), b.at(measurements[0].cut_b)))
    if pair is None:
        return results
    for result in results:
        result.value = _evaluate(result, pair)
    for draw in range(max(measurement.null for measurement in measurements)):
        permuted_results = [result for result in results if result.measurement.null > draw and result.error is None]
        if permuted_results:
            order = null_order(draw, len(pair), pair.b.by_place.device)
            permuted_pair = Pair(pair.a, pair.b, order)
            for result in permuted_results:
                result.null.append(_evaluate(result, permuted_pair))
    return results


def _evaluate(result: MeasurementResult, pair: Pair) -> float:
    measurement = result.measurement
    value = _timed([result], lambda: similarity(pair, measurement.measure, dict(measurement.options)))
    return 0.0 if value is None else value


def _timed(results: Sequence[MeasurementResult], work: Callable[[], T]) -> T | None:
    """Return what `work` returns, or None where it raises; the exception is stored in each result's `error`.

    The elapsed time is divided equally between the results that share the work.
    """
    start = perf_counter()
    try:
        return work()
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        for result in results:
            result.error = error
        return None
    finally:
        for result in results:
            result.seconds += (perf_counter() - start) / len(results)


def _group(measurements: Iterable[Measurement], key: Callable[[Measurement], Hashable]) -> list[list[Measurement]]:
    """Group measurements by a key, in the order in which the keys first occur."""
    groups: dict[Hashable, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(key(measurement), []).append(measurement)
    return list(groups.values())
