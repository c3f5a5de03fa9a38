"""Cards of the stitchers: which shapes each joins, and what it trains."""

from collections.abc import Mapping

from .card import OptionValues, Shape, StitcherCard
from .shapes import channels, show, sites


def _conv1x1_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) != len(top):
        return f"conv1x1 joins two maps, two vectors or two rows of tokens, not {show(bottom)} and {show(top)}"
    if sites(bottom) != sites(top):
        equal = "tokens of equal number" if len(top) == 2 else "maps of equal height and width"
        return f"conv1x1 joins {equal}, not {show(bottom)} and {show(top)}"
    return ""


def _linear_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) < 3 and sites(bottom) == sites(top):
        return ""
    return f"linear joins vectors or tokens of equal number, not {show(bottom)} and {show(top)}"


def _identity_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    return "" if bottom == top else f"identity joins equal shapes, not {show(bottom)} and {show(top)}"


def _affine_between_norms(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Weight and bias of the map, scale and shift of the batch norms on either side."""
    c_in, c_out = channels(bottom), channels(top)
    return 2 * c_in + c_in * c_out + c_out + 2 * c_out


def _affine(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Weight and bias."""
    return (channels(bottom) + 1) * channels(top)


def _nothing(bottom: Shape, top: Shape, options: OptionValues) -> int:
    return 0


CONV1X1 = StitcherCard(
    name="conv1x1",
    meaning="batch norm, 1x1 convolution with bias, batch norm (Bansal et al. 2021, section 3); between vectors, as "
    "after pooling, and between tokens, one by one, its linear form: batch norm, linear map with bias, batch norm",
    builder="sweeper.trials.stitchers.conv:conv1x1",
    options={},
    trains=True,
    misfit=_conv1x1_misfit,
    parameters=_affine_between_norms,
)
LINEAR = StitcherCard(
    name="linear",
    meaning="one linear map with bias between vectors, or between tokens one by one (the paper's for transformers), "
    "without norms",
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
