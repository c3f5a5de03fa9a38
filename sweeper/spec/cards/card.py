"""The classes of cards. Every card has a name, a meaning, options, and the import path of its builder as text.

Planning reads cards; only a worker imports a builder. A conformance suite builds each card and compares the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sweeper.spec.cards.places import Part
from sweeper.spec.cards.shapes import Shape

OUTPUT = "output"  # the name of a network's logits in rows; no cut may have this name


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its type, its default (None: it must be given) and the allowed values."""

    type: type
    default: bool | int | float | str | None
    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple[int | str, ...] = ()


OptionValues = Mapping[str, bool | int | float | str]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in a network where a single tensor carries everything that the later layers need."""

    name: str
    position: int  # number of the place in the paper (Bansal et al. 2021)
    depth: float  # fraction in [0, 1] of the network's layers that lie before the cut
    shape: Shape  # of the tensor, for one image
    flops: float  # of one image's forward pass up to here (a multiply-add is two)
    # True: all layers after the cut are affine in eval mode, so what they add to an affine stitcher is a linear
    # classifier. None: unknown, in a card that an older version measured.
    affine_top: bool | None = None
    # The earliest cut that differs from this one only in places: the layers between the two average, select or move
    # pixels or tokens. An affine stitcher that is the same at each place gives the same network at both. "": none.
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class NetworkLayout:
    """The costs and cuts of an architecture whose settings and input shape are fixed."""

    cuts: tuple[Cut, ...]  # in order of depth
    flops: float  # of one image's whole forward pass
    parameters: int
    trainable: bool = True  # False if all parameters are frozen

    def output(self, classes: int) -> Cut:
        """Return the logits as a cut after all layers: stitching there is impossible, comparing outputs is not."""
        return Cut(OUTPUT, self.cuts[-1].position + 1, 1.0, (classes,), self.flops, affine_top=True)


def _fits_anywhere(options: OptionValues, shape: Shape) -> str:
    return ""


def never(options: OptionValues) -> bool:
    """Return False: the property holds at no setting of the options."""
    return False


def always(options: OptionValues) -> bool:
    """Return True: the property holds at every setting of the options."""
    return True


@dataclass(frozen=True, slots=True)
class ArchCard:
    """An architecture.

    `builder` is `module:function`, called as `builder(options, shape, classes)`. It returns an `nn.Module` whose
    `stages` is an ordered `nn.ModuleDict`: running the stages up to and including the one that has a cut's name gives
    that cut's tensor, and running all of them gives the logits.

    `misfit(options, image shape)` returns the reason why a network with these settings (all of them) can't take such
    images, or "" if it can; the reason begins with the setting to change.
    """

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    network: Callable[[OptionValues, Shape, int], NetworkLayout]  # (options, image shape, classes)
    misfit: Callable[[OptionValues, Shape], str] = _fits_anywhere


@dataclass(frozen=True, slots=True)
class StitcherCard:
    """A stitcher, described by functions that are called as `function(bottom_shape, top_shape, options)`.

    `misfit` returns the reason why it can't join the two shapes, or "" if it can; `parameters` the number of trained
    parameters; `parts` the places between which the closed form is solved, or () if it has no closed form. `builder` is
    `module:function`; the function returns a module whose initial weights are drawn from torch's global generator,
    which the caller seeds.
    """

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    trains: bool  # False: nothing to train, its steps are 0
    misfit: Callable[[Shape, Shape, OptionValues], str]
    parameters: Callable[[Shape, Shape, OptionValues], int]
    parts: Callable[[Shape, Shape, OptionValues], tuple[Part, ...]]
    solved_from_data: bool = False  # True: solved from images without training, so the choice of images matters
    # True: the stitcher replaces the top. It joins A's cuts to B's output, and the target of its closed form is the
    # one-hot labels instead of B's logits.
    replaces_top: bool = False
    # Functions of the options. `affine`: in eval mode, the stitcher is an affine map of A's activation, whatever its
    # weights. `placewise`: it applies one map to each place (each pixel or token) alone.
    affine: Callable[[OptionValues], bool] = never
    placewise: Callable[[OptionValues], bool] = never


@dataclass(frozen=True, slots=True)
class MeasureCard:
    """A similarity of two activations (or outputs) of the same images.

    `builder` is `module:function`, called as `function(pair, **options)` with a
    `trials.similarity.measures.pair.Pair`; it returns a float. Range and estimator hold for any settings, invariances
    and symmetry for the defaults.

    `misfit(a, b, options)` returns the reason why it can't compare two shapes, or "" if it can. `operations(images, a,
    b, options)` returns its cost, in single-precision operations of a matrix product (a decomposition counts as the
    number of operations that take as long); `memory(images, a, b, options)` the bytes that it needs in addition to the
    two activations. Both assume that nothing is shared with other measures.
    """

    name: str
    meaning: str
    builder: str
    options: Mapping[str, Option]
    estimator: str  # what is computed, as a formula or in words
    range: tuple[float, float]  # lowest and highest value; an activation compared with itself gets the highest
    # The maps of features that leave the value unchanged, also if A and B get different maps of the same kind:
    # "orthogonal", "isotropic_scaling", "translation", "affine" (any invertible one), "permutation"; "affine_of_a" and
    # "affine_of_b" if only that side may be mapped.
    invariances: tuple[str, ...]
    symmetric: bool  # True: exchanging A and B doesn't change the value
    compares: str  # "activations", "outputs"
    source: str
    misfit: Callable[[Shape, Shape, OptionValues], str]
    operations: Callable[[int, Shape, Shape, OptionValues], float]
    memory: Callable[[int, Shape, Shape, OptionValues], float]


@dataclass(frozen=True, slots=True)
class DataCard:
    """A named data set, with its digest and sizes pinned so that planning never opens it.

    `builder` is `module:function`, called as `function(split, folder)`. It returns images as uint8 (images, channels,
    height, width) and labels as int64 (images,).
    """

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
