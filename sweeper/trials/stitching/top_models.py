"""The top models of a group: their layers after a cut, and their own activations to compare stitches with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from sweeper.spec.cards.card import OUTPUT
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.drift import TopReference
from sweeper.trials.networks.finite import CheckedActivations, named_in_errors
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.stitching.stitched_network import StitchedNetwork, Target, share_failure, split_time


class TopModels:
    """The top models that a group's stitches use, by model id."""

    def __init__(self, networks: Mapping[str, Network]):
        self.networks = networks
        self._shared_tops: dict[tuple[str, str], nn.Module] = {}

    def shared_top(self, b: str, cut: str) -> nn.Module:
        """Return a folded model's layers after a cut; the same module for all stitches there."""
        return self._shared_tops.setdefault((b, cut), top(self.networks[b].folded, cut))

    def score(self, stitched_networks: Sequence[StitchedNetwork]) -> None:
        """Score the top models of some stitches; the networks keep their scores. An error fails a model's stitches."""
        for b, members in _by_top_model(stitched_networks).items():
            with share_failure(members), split_time(members), named_in_errors("B itself on the test images"):
                _ = self.networks[b].score

    def references(
        self, stitched_networks: Sequence[StitchedNetwork], images: Images
    ) -> Iterator[Mapping[str, TopReference]]:
        """Yield the top models' own activations and predictions per test batch, from one pass of each top model."""
        cuts_by_top = {
            b: {_target(stitched).cut for stitched in members} - {OUTPUT}
            for b, members in _by_top_model(stitched_networks).items()
        }
        for batch, _ in images.test_batches():
            yield {b: self.networks[b].top_reference(batch, cuts) for b, cuts in cuts_by_top.items()}

    def activations(
        self, stitched_networks: Sequence[StitchedNetwork], images: Tensor
    ) -> Iterator[tuple[StitchedNetwork, Tensor]]:
        """Yield each stitch with its top model's own activation at the cut, from one pass of each top model.

        A stitch whose top model has values there that are not finite numbers is left out, its `error` set.
        """
        for b, members in _by_top_model(stitched_networks).items():
            cuts = {stitched: _target(stitched).cut for stitched in members}
            with split_time(members):
                activation_by_cut = CheckedActivations("B", activations(self.networks[b].folded, images, cuts.values()))
            for stitched, cut in cuts.items():
                if cut in activation_by_cut.refused:
                    stitched.error = FloatingPointError(activation_by_cut.refused[cut])
                else:
                    yield stitched, activation_by_cut[cut]


def _by_top_model(stitched_networks: Iterable[StitchedNetwork]) -> dict[str, list[StitchedNetwork]]:
    groups: dict[str, list[StitchedNetwork]] = {}
    for stitched in stitched_networks:
        groups.setdefault(_target(stitched).b, []).append(stitched)
    return groups


def _target(stitched: StitchedNetwork) -> Target:
    assert stitched.target is not None
    return stitched.target
