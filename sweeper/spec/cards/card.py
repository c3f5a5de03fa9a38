"""What every card holds: a name, a meaning, its options, and where its builder is, named as text.

Planning reads cards; only a worker imports a builder. One conformance suite builds each card and compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .places import Part

OUTPUT = "output"  # what rows call a network's logits; no cut may have the name

Shape = tuple[int, ...]  # of one example: map (channels, height, width), tokens (tokens, features), vector (features,)


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its type, its default (None: must be given) and the values that make sense."""

    type: type
    default: bool | int | float | str | None
    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple[int | str, ...] = ()


OptionValues = Mapping[str, bool | int | float | str]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where one tensor carries everything the rest of the network needs."""

    name: str
    position: int  # as the paper numbers it
    depth: float  # fraction in [0, 1] of the network's layers that lie before the cut
    shape: Shape  # of the tensor, for one image
    flops: float  # of one image's forward pass up to here (a multiply-add is two)


@dataclass(frozen=True, slots=True)
class Network:
    """An architecture with its settings and input fixed: what it costs and where it can be cut."""

    cuts: tuple[Cut, ...]  # in order of depth
    flops: float  # of one image's whole forward pass
    parameters: int

    def output(self, classes: int) -> Cut:
        """The logits, as a cut behind all layers: nothing can be stitched there, but outputs can be compared."""
        return Cut(OUTPUT, self.cuts[-1].position + 1, 1.0, (classes,), self.flops)


def _fits_anywhere(options: OptionValues, shape: Shape) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class ArchCard:
    """An architecture. `builder` is `module:function`, called as `builder(options, shape, classes)`; it returns an
    `nn.Module` whose `stages` is an `nn.ModuleDict` in order: running the stages up to and including the one named
    like a cut gives that cut's tensor, and running all of them gives the logits.

    `misfit(options, image shape)` says why these settings (all of them) can't be on such images, or "" where they can;
    the reason begins with the setting to change."""

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    network: Callable[[OptionValues, Shape, int], Network]  # (options, image shape, classes)
    misfit: Callable[[OptionValues, Shape], str] = _fits_anywhere


@dataclass(frozen=True, slots=True)
class StitcherCard:
    """A stitcher. `misfit(bottom, top, options)` says why it can't join two shapes, or "" where it can;
    `parameters(bottom, top, options)` counts what it trains; `parts(bottom, top, options)` says between which places
    the closed form is solved, () where there is none. `builder(shape_a, shape_b, options)` returns a module whose
    weights are drawn from torch's global generator (seeded by the caller)."""

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    trains: bool  # False: nothing to train, its steps are 0
    misfit: Callable[[Shape, Shape, OptionValues], str]
    parameters: Callable[[Shape, Shape, OptionValues], int]
    parts: "Callable[[Shape, Shape, OptionValues], tuple[Part, ...]]"
    solved_from_data: bool = False  # True: solved from images without training, so the choice of images matters
    # True: the stitcher replaces the top. It joins A's cuts to B's output, and the target of its closed form is the
    # one-hot labels instead of B's logits.
    replaces_top: bool = False


@dataclass(frozen=True, slots=True)
class MeasureCard:
    """A similarity of two activations (or outputs) of the same images: `builder` is `module:function`, called as
    `function(pair, **options)` with a `trials.measures.pair.Pair`; it returns a float. Range and estimator hold for
    any settings, invariances and symmetry for the defaults.

    `misfit(a, b, options)` says why it can't compare two shapes, or "" where it can. `operations(images, a, b,
    options)` counts what it costs in single-precision operations of a matrix product (of a decomposition: as many as
    take as long); `memory(images, a, b, options)` the bytes that it needs beside the two activations. Both assume that
    nothing is shared with other measures.
    """

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    estimator: str  # what is computed, as a formula or in words
    range: tuple[float, float]  # the second: the best, which a network's own activation gets
    # Under which changes of A's and of B's features, each its own, the value stays: "orthogonal", "isotropic_scaling",
    # "translation", "affine" (any invertible one), "permutation"; "affine_of_a", "affine_of_b": of that side alone.
    invariances: tuple[str, ...]
    symmetric: bool  # A against B is B against A
    compares: str  # "activations", "outputs"
    source: str
    misfit: Callable[[Shape, Shape, OptionValues], str]
    operations: Callable[[int, Shape, Shape, OptionValues], float]
    memory: Callable[[int, Shape, Shape, OptionValues], float]


@dataclass(frozen=True, slots=True)
class DataCard:
    """A named data set: pinned digest and sizes, so that planning never opens it. `builder` is `module:function`,
    called as `function(split, folder)`; it returns images as uint8 (images, channels, height, width) and labels as
    int64 (images,)."""

    name: str
    meaning: str
    builder: str
    digest: str
    train: int
    test: int
    classes: int
    shape: tuple[int, int, int]
    holdout: int
    augment: str  # the default augmentation for training a model on it
    source: str
