"""Cards of the stitchers: the shapes that each joins, and the parameters that it trains."""

from collections.abc import Mapping
from functools import partial

from sweeper.spec.cards.card import Option, OptionValues, Shape, StitcherCard, always
from sweeper.spec.cards.places import RESAMPLINGS, Part, as_they_are, resampled
from sweeper.spec.cards.shapes import channels, format_shape, grid_sides, sites


def _format_pair(bottom_shape: Shape, top_shape: Shape) -> str:
    return f"{format_shape(bottom_shape)} and {format_shape(top_shape)}"


def _same_places_misfit(name: str, bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if len(bottom_shape) != len(top_shape):
        return f"{name} joins two maps, two vectors or two sets of tokens, not {_format_pair(bottom_shape, top_shape)}"
    if as_they_are(bottom_shape, top_shape):
        return ""
    joined = "maps of equal height and width" if len(bottom_shape) == 3 else "equal numbers of tokens"
    return f"{name} joins {joined}, not {_format_pair(bottom_shape, top_shape)}"


def _conv_misfit(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if reason := _same_places_misfit("conv", bottom_shape, top_shape, options):
        return reason
    if len(bottom_shape) == 3 or options["kernel"] == 1:
        return ""
    return f"conv of kernel {options['kernel']} joins maps, not {_format_pair(bottom_shape, top_shape)}"


def _linear_misfit(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if len(bottom_shape) < 3 and sites(bottom_shape) == sites(top_shape):
        return ""
    return f"linear joins vectors or tokens of equal number, not {_format_pair(bottom_shape, top_shape)}"


def _low_rank_misfit(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if reason := _same_places_misfit("low_rank", bottom_shape, top_shape, options):
        return reason
    full = min(channels(bottom_shape), channels(top_shape))
    if int(options["rank"]) <= full:
        return ""
    pair = _format_pair(bottom_shape, top_shape)
    return f"low_rank of rank {options['rank']} is more than the {full} that {pair} allow"


def _equal_shapes_misfit(name: str, bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if bottom_shape == top_shape:
        return ""
    return f"{name} joins equal shapes, not {_format_pair(bottom_shape, top_shape)}"


def _adapter_misfit(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    if _adapter_parts(bottom_shape, top_shape, options):
        return ""
    pair = _format_pair(bottom_shape, top_shape)
    if any(len(shape) == 2 and grid_sides(shape) == (0, 0) for shape in (bottom_shape, top_shape)):
        return f"adapter needs tokens that are a square grid, with or without a class token, not {pair}"
    return f"adapter with places: strided needs sides that are whole multiples, not {pair}"


def _adapter_parts(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> tuple[Part, ...]:
    return resampled(bottom_shape, top_shape, str(options["places"]))


def _probe_misfit(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> str:
    return "" if len(top_shape) == 1 else f"probe gives one value a class, not {format_shape(top_shape)}"


def _probe_parts(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> tuple[Part, ...]:
    return resampled(bottom_shape, top_shape, "pool") if len(top_shape) == 1 else ()


def _probe_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    """Count the scale and shift of the batch norm and the weight and bias of the map."""
    return 2 * channels(bottom_shape) + _affine_parameters((channels(bottom_shape),), top_shape, options)


def _equal_places_parts(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> tuple[Part, ...]:
    return as_they_are(bottom_shape, top_shape)


def _affine_between_norms_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    """Count the weight and bias of the map and the scale and shift of the batch norms on either side."""
    c_in, c_out = channels(bottom_shape), channels(top_shape)
    return 2 * c_in + c_in * c_out + c_out + 2 * c_out


def _conv_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    """Count the parameters of one or two convolutions, and of the batch norms before the first and after each."""
    c_in, c_out = channels(bottom_shape), channels(top_shape)
    taps, second = int(options["kernel"]) ** 2, options["depth"] == 2
    convolutions = (c_in * taps + 1) * c_out + second * (c_out * taps + 1) * c_out
    norms = 2 * (c_in + c_out + second * c_out) if options["norm"] else 0
    return convolutions + norms


def _adapter_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    parts = _adapter_parts(bottom_shape, top_shape, options)
    return sum(_affine_between_norms_parameters(part.bottom_shape, part.top_shape, options) for part in parts)


def _low_rank_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    """Count the two maps, the bias of the second, and the scale and shift of the batch norms on either side."""
    c_in, c_out = channels(bottom_shape), channels(top_shape)
    return 2 * c_in + int(options["rank"]) * (c_in + c_out) + c_out + 2 * c_out


def _affine_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    """Count the weight and bias of a linear map."""
    return (channels(bottom_shape) + 1) * channels(top_shape)


def _one_convolution(options: OptionValues) -> bool:
    """Return True if no ReLU lies between two convolutions."""
    return options["depth"] == 1


def _kernel_1(options: OptionValues) -> bool:
    return options["kernel"] == 1


def _no_parameters(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> int:
    return 0


CONV1X1 = StitcherCard(
    name="conv1x1",
    meaning="batch norm, 1x1 convolution with bias, batch norm (Bansal et al. 2021, section 3); between vectors (as "
    "after pooling) and between tokens (for each token) a linear map with bias takes the place of the convolution",
    builder="sweeper.trials.stitching.stitchers.conv:conv1x1",
    options={},
    trains=True,
    misfit=partial(_same_places_misfit, "conv1x1"),
    parameters=_affine_between_norms_parameters,
    parts=_equal_places_parts,
    affine=always,
    placewise=always,
)
CONV = StitcherCard(
    name="conv",
    meaning="convolutions of any kernel size, padded by half of it, with or without batch norms (the authors' "
    "capacity experiment); with kernel 1 it is conv1x1, and also joins vectors and tokens",
    builder="sweeper.trials.stitching.stitchers.conv:conv",
    options={
        "kernel": Option(int, 3, "side of the kernel: 1, 3, 5, 7, 9", choices=(1, 3, 5, 7, 9)),
        "norm": Option(bool, True, "a batch norm before the first convolution and after each"),
        "depth": Option(int, 1, "number of convolutions, with a ReLU between them", least=1, most=2),
    },
    trains=True,
    misfit=_conv_misfit,
    parameters=_conv_parameters,
    parts=_equal_places_parts,
    affine=_one_convolution,
    placewise=_kernel_1,
)
LINEAR = StitcherCard(
    name="linear",
    meaning="one linear map with bias, without norms, between vectors or between tokens (the same map for each "
    "token; the paper's stitcher for transformers)",
    builder="sweeper.trials.stitching.stitchers.linear:linear",
    options={},
    trains=True,
    misfit=_linear_misfit,
    parameters=_affine_parameters,
    parts=_equal_places_parts,
    affine=always,
    placewise=always,
)
LOW_RANK = StitcherCard(
    name="low_rank",
    meaning="conv1x1 through a bottleneck: batch norm, a map to `rank` channels, a map with bias from them, batch norm "
    "(Csiszárik et al. 2021; Balogh and Jelasity 2025)",
    builder="sweeper.trials.stitching.stitchers.low_rank:low_rank",
    options={"rank": Option(int, None, "channels of the bottleneck", least=1)},
    trains=True,
    misfit=_low_rank_misfit,
    parameters=_low_rank_parameters,
    parts=_equal_places_parts,
    affine=always,
    placewise=always,
)
ADAPTER = StitcherCard(
    name="adapter",
    meaning="conv1x1 between activations of different shapes: maps, tokens and vectors in every combination. B's grid "
    "of places (the pixels of a map, or square tokens) is computed from A's grid, resampled; if A is a vector, it is "
    "repeated at every place. A vector or class token of B is computed by a separate map from A's vector or class "
    "token, or else from the mean over A's grid",
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
    parameters=_adapter_parameters,
    parts=_adapter_parts,
    affine=always,
)
AFFINE = StitcherCard(
    name="affine",
    meaning="direct matching: the least-squares affine map from A's channels to B's, solved in closed form, not "
    "trained (Csiszárik et al. 2021; Maiorca et al. 2023)",
    builder="sweeper.trials.stitching.stitchers.closed:affine",
    options={},
    trains=False,
    misfit=partial(_same_places_misfit, "affine"),
    parameters=_no_parameters,
    parts=_equal_places_parts,
    solved_from_data=True,
    affine=always,
    placewise=always,
)
ORTHOGONAL = StitcherCard(
    name="orthogonal",
    meaning="Procrustes: the rotation or reflection of channels, with one scale and a translation, that maps A as "
    "close to B as possible (Maiorca et al. 2023); if they differ in their numbers of channels, the smaller is padded "
    "with zeros",
    builder="sweeper.trials.stitching.stitchers.closed:orthogonal",
    options={},
    trains=False,
    misfit=partial(_same_places_misfit, "orthogonal"),
    parameters=_no_parameters,
    parts=_equal_places_parts,
    solved_from_data=True,
    affine=always,
    placewise=always,
)
PERMUTATION = StitcherCard(
    name="permutation",
    meaning="a permutation of A's channels: the matching with the largest sum of correlations (Li et "
    "al. 2016, Convergent learning)",
    builder="sweeper.trials.stitching.stitchers.closed:permutation",
    options={},
    trains=False,
    misfit=partial(_equal_shapes_misfit, "permutation"),
    parameters=_no_parameters,
    parts=_equal_places_parts,
    solved_from_data=True,
    affine=always,
    placewise=always,
)
RELATIVE = StitcherCard(
    name="relative",
    meaning="relative representations (Moschella et al. 2023): A's activation is replaced by its cosines to A's "
    "activations of anchor images. B's top was trained on absolute coordinates, so a decoder, fitted by least squares "
    "from B's cosines to B's activation, converts the cosines; no map is fitted between A and B. The lengths of "
    "activations are lost",
    builder="sweeper.trials.stitching.stitchers.relative:relative",
    options={"anchors": Option(int, 300, "places of the stitcher's own images that serve as anchors", least=1)},
    trains=False,
    misfit=partial(_same_places_misfit, "relative"),
    parameters=_no_parameters,
    parts=_equal_places_parts,
    solved_from_data=True,
    placewise=always,
)
IDENTITY = StitcherCard(
    name="identity",
    meaning="passes on A's activation unchanged; nothing is trained",
    builder="sweeper.trials.stitching.stitchers.identity:identity",
    options={},
    trains=False,
    misfit=partial(_equal_shapes_misfit, "identity"),
    parameters=_no_parameters,
    parts=_equal_places_parts,
    affine=always,
    placewise=always,
)
PROBE = StitcherCard(
    name="probe",
    meaning="a linear probe, as a baseline for stitching: it replaces B's top. The mean over A's places (or A's class "
    "token), batch norm, a linear map with bias to B's classes. It joins each of A's cuts to B's output. Its closed "
    "form, with which strict begins, is the least-squares classifier with one-hot labels as targets",
    builder="sweeper.trials.stitching.stitchers.probe:probe",
    options={},
    trains=True,
    misfit=_probe_misfit,
    parameters=_probe_parameters,
    parts=_probe_parts,
    replaces_top=True,
    affine=always,
)

_CARDS = (CONV1X1, CONV, LINEAR, LOW_RANK, ADAPTER, AFFINE, ORTHOGONAL, PERMUTATION, RELATIVE, IDENTITY, PROBE)
STITCHERS: Mapping[str, StitcherCard] = {card.name: card for card in _CARDS}
