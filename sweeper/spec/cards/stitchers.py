"""Cards of the stitchers: which shapes each joins, and what it trains."""

from collections.abc import Mapping
from functools import partial

from sweeper.spec.cards.card import Option, OptionValues, Shape, StitcherCard
from sweeper.spec.cards.places import RESAMPLINGS, Part, as_they_are, resampled
from sweeper.spec.cards.shapes import channels, format_shape, grid_sides, sites


def _same_places(name: str, bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) != len(top):
        return (
            f"{name} joins two maps, two vectors or two sets of tokens, "
            f"not {format_shape(bottom)} and {format_shape(top)}"
        )
    if as_they_are(bottom, top):
        return ""
    what = "maps of equal height and width" if len(bottom) == 3 else "equal numbers of tokens"
    return f"{name} joins {what}, not {format_shape(bottom)} and {format_shape(top)}"


def _conv_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if reason := _same_places("conv", bottom, top, options):
        return reason
    if len(bottom) == 3 or options["kernel"] == 1:
        return ""
    return f"conv of kernel {options['kernel']} joins maps, not {format_shape(bottom)} and {format_shape(top)}"


def _linear_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if len(bottom) < 3 and sites(bottom) == sites(top):
        return ""
    return f"linear joins vectors or tokens of equal number, not {format_shape(bottom)} and {format_shape(top)}"


def _low_rank_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if reason := _same_places("low_rank", bottom, top, options):
        return reason
    full = min(channels(bottom), channels(top))
    if int(options["rank"]) <= full:
        return ""
    shapes = f"{format_shape(bottom)} and {format_shape(top)}"
    return f"low_rank of rank {options['rank']} is more than the {full} that {shapes} allow"


def _equal(name: str, bottom: Shape, top: Shape, options: OptionValues) -> str:
    return "" if bottom == top else f"{name} joins equal shapes, not {format_shape(bottom)} and {format_shape(top)}"


def _adapter_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    if _adapter_parts(bottom, top, options):
        return ""
    pair = f"{format_shape(bottom)} and {format_shape(top)}"
    if any(len(shape) == 2 and grid_sides(shape) == (0, 0) for shape in (bottom, top)):
        return f"adapter needs tokens that are a square grid, with or without a class token, not {pair}"
    return f"adapter with places: strided needs sides that are whole multiples, not {pair}"


def _adapter_parts(bottom: Shape, top: Shape, options: OptionValues) -> tuple[Part, ...]:
    return resampled(bottom, top, str(options["places"]))


def _probe_misfit(bottom: Shape, top: Shape, options: OptionValues) -> str:
    return "" if len(top) == 1 else f"probe gives one value a class, not {format_shape(top)}"


def _probe_parts(bottom: Shape, top: Shape, options: OptionValues) -> tuple[Part, ...]:
    return resampled(bottom, top, "pool") if len(top) == 1 else ()


def _probe(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Count scale and shift of the batch norm, weight and bias of the map."""
    return 2 * channels(bottom) + _affine((channels(bottom),), top, options)


def _parts(bottom: Shape, top: Shape, options: OptionValues) -> tuple[Part, ...]:
    return as_they_are(bottom, top)


def _affine_between_norms(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Count weight and bias of the map, scale and shift of the batch norms on either side."""
    c_in, c_out = channels(bottom), channels(top)
    return 2 * c_in + c_in * c_out + c_out + 2 * c_out


def _conv(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Count weight and bias of one or two convolutions; and of the batch norms before the first and after each."""
    c_in, c_out, taps, second = channels(bottom), channels(top), int(options["kernel"]) ** 2, options["depth"] == 2
    convolutions = (c_in * taps + 1) * c_out + second * (c_out * taps + 1) * c_out
    norms = 2 * (c_in + c_out + second * c_out) if options["norm"] else 0
    return convolutions + norms


def _adapter(bottom: Shape, top: Shape, options: OptionValues) -> int:
    parts = _adapter_parts(bottom, top, options)
    return sum(_affine_between_norms(part.shape_a, part.shape_b, options) for part in parts)


def _low_rank(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Count the two maps, the bias of the second, scale and shift of the batch norms on either side."""
    c_in, c_out = channels(bottom), channels(top)
    return 2 * c_in + int(options["rank"]) * (c_in + c_out) + c_out + 2 * c_out


def _affine(bottom: Shape, top: Shape, options: OptionValues) -> int:
    """Count weight and bias."""
    return (channels(bottom) + 1) * channels(top)


def _nothing(bottom: Shape, top: Shape, options: OptionValues) -> int:
    return 0


CONV1X1 = StitcherCard(
    name="conv1x1",
    meaning="batch norm, 1x1 convolution with bias, batch norm (Bansal et al. 2021, section 3); between vectors, as "
    "after pooling, and between tokens, token by token, its linear form: batch norm, linear map with bias, batch norm",
    builder="sweeper.trials.stitching.stitchers.conv:conv1x1",
    options={},
    trains=True,
    misfit=partial(_same_places, "conv1x1"),
    parameters=_affine_between_norms,
    parts=_parts,
)
CONV = StitcherCard(
    name="conv",
    meaning="convolutions of any kernel, padded by half of it, with or without batch norms (the authors' capacity "
    "experiment); kernel 1 is conv1x1, and also joins vectors and tokens",
    builder="sweeper.trials.stitching.stitchers.conv:conv",
    options={
        "kernel": Option(int, 3, "side of the kernel: 1, 3, 5, 7, 9", choices=(1, 3, 5, 7, 9)),
        "norm": Option(bool, True, "a batch norm before the first convolution and after each"),
        "depth": Option(int, 1, "convolutions, a ReLU between two", least=1, most=2),
    },
    trains=True,
    misfit=_conv_misfit,
    parameters=_conv,
    parts=_parts,
)
LINEAR = StitcherCard(
    name="linear",
    meaning="one linear map with bias between vectors, or between tokens one by one (the paper's for transformers), "
    "without norms",
    builder="sweeper.trials.stitching.stitchers.linear:linear",
    options={},
    trains=True,
    misfit=_linear_misfit,
    parameters=_affine,
    parts=_parts,
)
LOW_RANK = StitcherCard(
    name="low_rank",
    meaning="conv1x1 through a bottleneck: batch norm, a map to `rank` channels, a map with bias from them, batch norm "
    "(Csiszárik et al. 2021; Balogh and Jelasity 2025)",
    builder="sweeper.trials.stitching.stitchers.low_rank:low_rank",
    options={"rank": Option(int, None, "channels of the bottleneck", least=1)},
    trains=True,
    misfit=_low_rank_misfit,
    parameters=_low_rank,
    parts=_parts,
)
ADAPTER = StitcherCard(
    name="adapter",
    meaning="conv1x1 between activations of unlike places. Maps, tokens and vectors join in every direction: B's grid "
    "of places (the pixels of a map, the patches among square tokens) reads A's grid, resampled; what B has of the "
    "whole image (a vector, a class token) reads A's class token or vector, or else the mean over A's grid, by a map "
    "of its own; a vector stands at every place",
    builder="sweeper.trials.stitching.stitchers.adapter:adapter",
    options={
        "places": Option(
            str,
            "pool",
            "how A's grid is resampled to B's: " + "; ".join(f"{name}: {how}" for name, how in RESAMPLINGS.items()),
            choices=tuple(RESAMPLINGS),
        )
    },
    trains=True,
    misfit=_adapter_misfit,
    parameters=_adapter,
    parts=_adapter_parts,
)
AFFINE = StitcherCard(
    name="affine",
    meaning="direct matching: the least-squares affine map from A's channels to B's, solved, not trained (Csiszárik et "
    "al. 2021; Maiorca et al. 2023)",
    builder="sweeper.trials.stitching.stitchers.closed:affine",
    options={},
    trains=False,
    misfit=partial(_same_places, "affine"),
    parameters=_nothing,
    parts=_parts,
    solved_from_data=True,
)
ORTHOGONAL = StitcherCard(
    name="orthogonal",
    meaning="Procrustes: the rotation or reflection of channels, with one scale and a translation, that carries A "
    "closest to B (Maiorca et al. 2023); between unlike channels as if the smaller side were filled up with zeros",
    builder="sweeper.trials.stitching.stitchers.closed:orthogonal",
    options={},
    trains=False,
    misfit=partial(_same_places, "orthogonal"),
    parameters=_nothing,
    parts=_parts,
    solved_from_data=True,
)
PERMUTATION = StitcherCard(
    name="permutation",
    meaning="A's channels in another order and nothing else: the matching with the largest sum of correlations (Li et "
    "al. 2016, Convergent learning)",
    builder="sweeper.trials.stitching.stitchers.closed:permutation",
    options={},
    trains=False,
    misfit=partial(_equal, "permutation"),
    parameters=_nothing,
    parts=_parts,
    solved_from_data=True,
)
RELATIVE = StitcherCard(
    name="relative",
    meaning="relative representations (Moschella et al. 2023): A's activation as cosines to its own activations of "
    "shared anchors. A top trained on absolute coordinates can't read them, so B's are decoded by least squares from "
    "B's own cosines to the same anchors: no map between A and B is ever fitted. Lengths are lost on the way",
    builder="sweeper.trials.stitching.stitchers.relative:relative",
    options={"anchors": Option(int, 300, "places of the stitcher's own images that serve as anchors", least=1)},
    trains=False,
    misfit=partial(_same_places, "relative"),
    parameters=_nothing,
    parts=_parts,
    solved_from_data=True,
)
IDENTITY = StitcherCard(
    name="identity",
    meaning="A's activation as it is: trains nothing",
    builder="sweeper.trials.stitching.stitchers.identity:identity",
    options={},
    trains=False,
    misfit=partial(_equal, "identity"),
    parameters=_nothing,
    parts=_parts,
)
PROBE = StitcherCard(
    name="probe",
    meaning="a linear probe, the baseline that stitching is set beside: no top at all. The mean over A's places (its "
    "class token, where it has one), batch norm, a linear map with bias to B's classes. It joins each of A's cuts to "
    "B's output. Its closed form, where strict starts, is the least-squares classifier: it aims at one-hot labels",
    builder="sweeper.trials.stitching.stitchers.probe:probe",
    options={},
    trains=True,
    misfit=_probe_misfit,
    parameters=_probe,
    parts=_probe_parts,
    replaces_top=True,
)

_CARDS = (CONV1X1, CONV, LINEAR, LOW_RANK, ADAPTER, AFFINE, ORTHOGONAL, PERMUTATION, RELATIVE, IDENTITY, PROBE)
STITCHERS: Mapping[str, StitcherCard] = {card.name: card for card in _CARDS}
