"""The hooks that a stitcher can have: methods that prepare it from activations before it is trained or scored."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from sweeper.trials.stitching.least_squares import Affine


@runtime_checkable
class StartsAtClosedForm(Protocol):
    """A stitcher that can be set to a closed form."""

    def start(self, *forms: Affine) -> None:
        """Set the weights so that the stitcher, in eval mode, is the closed form or its nearest approximation.

        Args:
            forms: One map for each part of the stitcher's card.
        """


@runtime_checkable
class ReportsReadCovariances(Protocol):
    """A stitcher that starts at a closed form and names its weights that read A's channels."""

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Return the covariance (channels_a, channels_a) of what a weight reads, by the weight's name.

        Such a weight has the shape (out, channels_a, ...); weights that do not read A's channels are left out.
        """
        ...


@runtime_checkable
class NeedsAnchors(Protocol):
    """A stitcher that is solved from B's activations alone, relative to anchors: places of the same images in A and B.

    The methods are called in the order of this class, `accumulate` once for each batch.
    """

    def choose_anchors(self, bottom: Tensor, top: Tensor) -> None:
        """Take the anchors from A's activation `bottom` and B's activation `top` of the same images."""

    def accumulate(self, top: Tensor) -> None:
        """Add B's activation of a batch to the sums that the stitcher is solved from."""

    def solve(self) -> None:
        """Solve the stitcher from the accumulated activations."""
