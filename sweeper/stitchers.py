"""Names for the authors of stitchers (docs/stitchers.md); none of them imports torch.

`StitcherCard` describes a stitcher and `Option` one of its settings. A `Shape` is the shape of an activation for one
image; `bottom_shape` is that of A's, which the stitcher reads, and `top_shape` that of B's, which it returns. A `Part`
is a pair of places between which the closed form is solved; `as_they_are` makes the parts of two activations with equal
places. `format_shape` writes a shape for a message.
"""

from .spec.cards.card import Option, OptionValues, Shape, StitcherCard
from .spec.cards.places import Part, as_they_are
from .spec.cards.shapes import format_shape

__all__ = ["Option", "OptionValues", "Part", "Shape", "StitcherCard", "as_they_are", "format_shape"]
