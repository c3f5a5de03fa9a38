"""A network's activations of the test images, from one pass for all the cuts at which it is compared."""

from collections.abc import Mapping
from math import prod

import torch

from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.similarity.measures.activation import Activation, by_place


class NetworkActivations:
    """Activations by cut, computed when first asked for: all that fit a budget by one pass and kept.

    Late cuts are kept first: they are the smallest and cost the most to compute again. A cut that doesn't fit takes a
    pass of its own whenever it is asked for after another such. What measures derive from the activations (axes,
    distances) is kept as far as there is room beside them, see `trim`.
    """

    def __init__(self, network: Network, images: Images, cuts: Mapping[str, Shape], budget: int):
        """cuts: name and shape of those that may be asked for, in order of depth; budget in bytes."""
        self._network, self._images, self._budget = network, images, budget
        self._kept: dict[str, Activation | None] = {}
        self._uncached: dict[str, Activation] = {}
        room = budget
        for cut, shape in reversed(list(cuts.items())):
            size = 4 * len(images.test) * prod(shape)
            if size <= room:
                self._kept[cut] = None
                room -= size

    def at(self, cut: str) -> Activation:
        """The network's tensor at a cut, or its logits (`OUTPUT`), for all test images."""
        if cut in self._kept:
            if self._kept[cut] is None:
                self._kept.update(self._pass(list(self._kept)))
            found = self._kept[cut]
            assert found is not None
            return found
        if cut not in self._uncached:
            self._uncached.clear()  # before the next is computed, or there would be room for two
            self._uncached = self._pass([cut])
        return self._uncached[cut]

    def trim(self) -> None:
        """Drops what was derived from the activations where it exceeds the budget together with them."""
        held = [x for x in (*self._kept.values(), *self._uncached.values()) if x is not None]
        if sum(x.bytes for x in held) > self._budget:
            for x in held:
                x.forget()

    @torch.no_grad()
    def _pass(self, cuts: list[str]) -> dict[str, Activation]:
        network = self._network.folded
        stage = {cut: list(network.stages)[-1] if cut == OUTPUT else cut for cut in cuts}  # type: ignore[arg-type]
        stores: dict[str, torch.Tensor] = {}
        start = 0
        for images, _ in self._images.test_batches():
            found = activations(network, images, stage.values())
            for cut in cuts:
                part = by_place(found[stage[cut]])
                if cut not in stores:
                    stores[cut] = part.new_empty((len(self._images.test), *part.shape[1:]))
                stores[cut][start : start + len(images)] = part
            start += len(images)
        return {cut: Activation(store) for cut, store in stores.items()}
