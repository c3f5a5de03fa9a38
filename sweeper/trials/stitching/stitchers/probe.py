"""A linear probe (Alain and Bengio 2016): a linear classifier on A's activation, without B's top.

It is the baseline of stitching (Bansal et al. 2021, section 1): a probe measures what can be read linearly from a
layer, a stitch what B's own layers can compute from it.
"""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.places import resampled
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.stitchers.adapter import Adapter
from sweeper.trials.stitching.stitchers.affine import BetweenNorms


def probe(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Adapter:
    """Return the classifier from any activation to `top_shape`, (classes,).

    It has torch's default initialisation, from torch's global generator.

    Raises:
        ValueError: If `top_shape` is not a vector.
    """
    if len(top_shape) > 1:
        raise ValueError(f"a probe maps to a vector of classes, not to the shape {top_shape}")
    channels_a = channels(bottom_shape)
    classifier = BetweenNorms(nn.BatchNorm1d(channels_a), nn.Linear(channels_a, channels(top_shape)), None)
    return Adapter(resampled(bottom_shape, top_shape, "pool"), [classifier], top_shape)
