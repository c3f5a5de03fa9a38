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


def probe(shape_a: Shape, shape_b: Shape, options: OptionValues) -> Adapter:
    """Return the classifier from any activation to `shape_b`, (classes,).

    It has torch's default initialisation, from torch's global generator.

    Raises:
        ValueError: If `shape_b` is not a vector.
    """
    if len(shape_b) > 1:
        raise ValueError(f"a probe maps to a vector of classes, not to the shape {shape_b}")
    channels_a = channels(shape_a)
    classifier = BetweenNorms(nn.BatchNorm1d(channels_a), nn.Linear(channels_a, channels(shape_b)), None)
    return Adapter(resampled(shape_a, shape_b, "pool"), [classifier], shape_b)
