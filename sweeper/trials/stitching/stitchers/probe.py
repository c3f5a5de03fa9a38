"""A linear probe (Alain and Bengio 2016): how far a linear classifier gets on A's activation, without B's top.

It judges an early layer by what is already linear in it, where a stitch judges it by what B's own layers make of it
(Bansal et al. 2021, section 1): the baseline that stitching is set beside.
"""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.places import resampled
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.stitchers.adapter import Adapter
from sweeper.trials.stitching.stitchers.affine import BetweenNorms


def probe(shape_a: Shape, shape_b: Shape, options: OptionValues) -> Adapter:
    """Builds the classifier from any activation to `shape_b`, (classes,). torch's default initialisation, from its
    global generator. Raises ValueError where `shape_b` is no vector."""
    if len(shape_b) > 1:
        raise ValueError(f"{shape_b} are no classes")
    wide = channels(shape_a)
    classifier = BetweenNorms(nn.BatchNorm1d(wide), nn.Linear(wide, channels(shape_b)), None)
    return Adapter(resampled(shape_a, shape_b, "pool"), [classifier], shape_b)
