"""A network's activations of the test images, from one pass for all the cuts at which it is compared."""

from collections.abc import Mapping
from math import prod

import torch

from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.similarity.measures.activation import Activation, by_place


class NetworkActivations:
    """The activations of a network by cut, computed at the first request and cached within a budget.

    One pass computes all activations that fit. The latest cuts have priority: they are the smallest and take the
    longest to compute again. Of the cuts that don't fit only the last requested is cached; another one takes another
    pass. Quantities that measures derive from the activations (axes, distances) are cached as long as both together are
    within the budget, see `trim`.
    """

    def __init__(self, network: Network, images: Images, cuts: Mapping[str, Shape], budget: int):
        """Prepare the cache.

        Args:
            network: the network.
            images: the data set, of which the test images are used.
            cuts: the shapes of the activations that may be requested, by cut, in order of depth.
            budget: the most bytes to cache.
        """
        self._network, self._images, self._budget = network, images, budget
        self._cached: dict[str, Activation | None] = {}
        self._uncached: dict[str, Activation] = {}
        room = budget
        for cut, shape in reversed(list(cuts.items())):
            size = 4 * len(images.test) * prod(shape)
            if size <= room:
                self._cached[cut] = None
                room -= size

    def at(self, cut: str) -> Activation:
        """Return the network's activation at a cut, or its logits (`OUTPUT`), for all test images."""
        if cut in self._cached:
            if self._cached[cut] is None:
                self._cached.update(self._pass(list(self._cached)))
            activation = self._cached[cut]
            assert activation is not None
            return activation
        if cut not in self._uncached:
            self._uncached.clear()  # before the pass, so that no two of them are in memory
            self._uncached = self._pass([cut])
        return self._uncached[cut]

    def trim(self) -> None:
        """Drop all derived quantities if they and the activations together exceed the budget."""
        cached = [x for x in (*self._cached.values(), *self._uncached.values()) if x is not None]
        if sum(x.bytes for x in cached) > self._budget:
            for x in cached:
                x.forget()

    @torch.no_grad()
    def _pass(self, cuts: list[str]) -> dict[str, Activation]:
        network = self._network.folded
        stage = {cut: list(network.stages)[-1] if cut == OUTPUT else cut for cut in cuts}  # type: ignore[arg-type]
        stores: dict[str, torch.Tensor] = {}
        start = 0
        for images, _ in self._images.test_batches():
            activation_by_stage = activations(network, images, stage.values())
            for cut in cuts:
                part = by_place(activation_by_stage[stage[cut]])
                if cut not in stores:
                    stores[cut] = part.new_empty((len(self._images.test), *part.shape[1:]))
                stores[cut][start : start + len(images)] = part
            start += len(images)
        return {cut: Activation(store) for cut, store in stores.items()}
