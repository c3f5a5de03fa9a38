"""Cards of the stitchers: which shapes each joins, and what it trains."""

from collections.abc import Mapping
from math import prod

from .card import OptionValues, Shape, StitcherCard
from .shapes import show


def _conv1x1_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) != len(top):
        return f"conv1x1 joins two maps or two vectors, not {show(bottom)} and {show(top)}"
    if bottom[1:] != top[1:]:
        return f"conv1x1 joins maps of equal height and width, not {show(bottom)} and {show(top)}"
    return ""


def _linear_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) == len(top) == 1:
        return ""
    return f"linear joins vectors, not {show(bottom)} and {show(top)}"


def _identity_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    return "" if bottom == top else f"identity joins equal shapes, not {show(bottom)} and {show(top)}"


def _affine_between_norms(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Weight and bias of the map, scale and shift of the batch norms on either side."""
    c_in, c_out = bottom[0], top[0]
    return 2 * c_in + c_in * c_out + c_out + 2 * c_out


def _affine(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Weight and bias."""
    return (prod(bottom) + 1) * prod(top)


def _nothing(bottom: Shape, top: Shape, options: OptionValues) -> int:
    return 0


CONV1X1 = StitcherCard(
    name="conv1x1",
    meaning="batch norm, 1x1 convolution with bias, batch norm (Bansal et al. 2021, section 3); between vectors, as "
    "after pooling, its linear form: batch norm, linear map with bias, batch norm",
    builder="sweeper.trials.stitchers.conv:conv1x1",
    options={},
    trains=True,
    misfit=_conv1x1_misfit,
    parameters=_affine_between_norms,
)
LINEAR = StitcherCard(
    name="linear",
    meaning="one linear map with bias between vectors, without norms",
    builder="sweeper.trials.stitchers.linear:linear",
    options={},
    trains=True,
    misfit=_linear_misfit,
    parameters=_affine,
)
IDENTITY = StitcherCard(
    name="identity",
    meaning="A's activation as it is: trains nothing",
    builder="sweeper.trials.stitchers.identity:identity",
    options={},
    trains=False,
    misfit=_identity_misfit,
    parameters=_nothing,
)

STITCHERS: Mapping[str, StitcherCard] = {card.name: card for card in (CONV1X1, LINEAR, IDENTITY)}
