"""The interface of a training protocol, and the protocols by the name that a recipe gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from torch import nn

from sweeper.trials.networks.network import Network
from sweeper.trials.networks.scoring import Score
from sweeper.trials.stitching.bottom_feeds import BottomFeeds
from sweeper.trials.stitching.group_saving import GroupSaving
from sweeper.trials.stitching.protocol_paper import PaperProtocol
from sweeper.trials.stitching.protocol_strict import StrictProtocol
from sweeper.trials.stitching.stitched_network import StitchedNetwork
from sweeper.trials.stitching.top_models import TopModels


class StitchProtocol(Protocol):
    """The decisions of a protocol for the stitches of a group."""

    @property
    def stops_early(self) -> bool:
        """True if the loss on held-out images can end training."""
        ...

    def own_top(self, b: Network, cut: str, trains: bool) -> nn.Module | None:
        """Return the layers of B after a cut for one stitch that takes steps; None if the shared folded top will do.

        B must stay unchanged: other stitches use it, and gains are measured against it.

        Args:
            b: The top model.
            cut: The cut that the layers follow.
            trains: If true, the layers train with the stitcher.
        """
        ...

    def starts_at_closed_form(self, stitched: StitchedNetwork) -> bool:
        """Return True if the stitcher is to be set to its closed form."""
        ...

    def train_and_score(
        self,
        stitched_networks: Sequence[StitchedNetwork],
        closed_forms: Sequence[StitchedNetwork],
        feeds: BottomFeeds,
        tops: TopModels,
        saving: GroupSaving,
    ) -> Iterator[Mapping[StitchedNetwork, Score]]:
        """Train the stitched networks; yield the scores of those that end together, and those of all closed forms.

        Networks that fail have no score and their `error` set. Between two steps the group's state may be saved; if
        there is one to go on from, the networks begin there.
        """
        ...


PROTOCOLS: Mapping[str, StitchProtocol] = {"strict": StrictProtocol(), "paper": PaperProtocol()}
