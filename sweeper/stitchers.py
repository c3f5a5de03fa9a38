"""The public names for authors of stitchers, described in docs/stitchers.md. Importing them does not load torch.

`StitcherCard` describes a stitcher and `Option` one of its settings. A `Shape` is the shape of an activation of one
image: a stitcher maps an activation of the bottom model, with `bottom_shape`, to one of the top model, with
`top_shape`. A `Part` is a pair of places between which the closed-form map is solved; `as_they_are` returns the parts
of two activations with equal places. `format_shape` formats a shape for a message.
"""

from .spec.cards.card import Option, OptionValues, Shape, StitcherCard
from .spec.cards.places import Part, as_they_are
from .spec.cards.shapes import format_shape

__all__ = ["Option", "OptionValues", "Part", "Shape", "StitcherCard", "as_they_are", "format_shape"]
