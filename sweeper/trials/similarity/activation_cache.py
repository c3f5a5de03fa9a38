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
    longest to compute again. Of the cuts that don't fit, only the last requested one is cached; a request for another
    runs another pass. Quantities that measures derive from the activations (axes, distances) are cached as long as
    these and the activations together are within the budget, see `trim`.
    """

    def __init__(self, network: Network, images: Images, cuts: Mapping[str, Shape], budget: int):
        """Prepare the cache.

        Args:
            network: The network.
            images: The data set, of which the test images are used.
            cuts: The shapes of the activations that may be requested, by cut, in order of depth.
            budget: The most bytes to cache.
        """
        self._network, self._images, self._budget = network, images, budget
        self._cached: dict[str, Activation | None] = {}
        self._uncached: dict[str, Activation] = {}
        free_bytes = budget
        for cut, shape in reversed(list(cuts.items())):
            size = 4 * len(images.test) * prod(shape)
            if size <= free_bytes:
                self._cached[cut] = None
                free_bytes -= size

    def at(self, cut: str) -> Activation:
        """Return the network's activation at a cut, or its logits (`OUTPUT`), for all test images."""
        if cut in self._cached:
            if self._cached[cut] is None:
                self._cached.update(self._pass(list(self._cached)))
            activation = self._cached[cut]
            assert activation is not None
            return activation
        if cut not in self._uncached:
            self._uncached.clear()  # before the pass, so that only one of them is in memory at a time
            self._uncached = self._pass([cut])
        return self._uncached[cut]

    def trim(self) -> None:
        """Drop all derived quantities if they and the activations together exceed the budget."""
        in_memory = [x for x in (*self._cached.values(), *self._uncached.values()) if x is not None]
        if sum(activation.bytes for activation in in_memory) > self._budget:
            for activation in in_memory:
                activation.drop_derived()

    @torch.no_grad()
    def _pass(self, cuts: list[str]) -> dict[str, Activation]:
        network = self._network.folded
        stage_by_cut = {cut: list(network.stages)[-1] if cut == OUTPUT else cut for cut in cuts}  # type: ignore[arg-type]
        tensor_by_cut: dict[str, torch.Tensor] = {}
        start = 0
        for images, _ in self._images.test_batches():
            activation_by_stage = activations(network, images, stage_by_cut.values())
            for cut in cuts:
                part = by_place(activation_by_stage[stage_by_cut[cut]])
                if cut not in tensor_by_cut:
                    tensor_by_cut[cut] = part.new_empty((len(self._images.test), *part.shape[1:]))
                tensor_by_cut[cut][start : start + len(images)] = part
            start += len(images)
        return {cut: Activation(tensor) for cut, tensor in tensor_by_cut.items()}
