"""A job as an object: `Sweep` and its sections, which a YAML file and the Python API both produce.

Every setting that may be a list is an axis; a scalar is an axis of one value. The descriptions of the fields are the
reference of the job file: `sweeper schema` and docs/job.md are made from them. Nothing here reads the disk: `load.py`
reads files and locates mistakes in them, `resolve.py` finds the content of the data set.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from sweeper.spec.cards.probed import Probed
from sweeper.spec.cards.user_networks import UserNetwork
from sweeper.spec.cards.user_stitchers import UserStitcher
from sweeper.spec.content.weights import NONE, Weights
from sweeper.spec.job.ranges import expand_range
from sweeper.spec.records.task import Data
from sweeper.spec.user_code.code import Code


def _as_tuple(value: object) -> object:
    """Return the values of an axis; a range such as `0..9` stands for its whole numbers, both ends included."""
    return tuple(
        item for part in (value if isinstance(value, list | tuple) else (value,)) for item in expand_range(part)
    )


def _as_groups(value: object) -> object:
    """Wrap a single group: `zip: [samples, steps]` is one group, `[[samples, steps], [seed, lr]]` are two."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return (value,)
    return value


def _as_layers(value: object) -> object:
    """Wrap a single cut: `layers: conv1` is a list of one; the numbers of cuts may be ranges."""
    return _as_tuple(value) if isinstance(value, int | list | tuple) or _is_cut(value) else value


def _is_cut(value: object) -> bool:
    return isinstance(value, str) and value != "all"


def _as_labels(value: object) -> object:
    """Wrap a single grouping: `[[0, 1], [2, 3]]` is one, `[classes, [[0, 1], [2, 3]]]` is an axis of two."""
    if isinstance(value, list | tuple) and value and all(_is_flat(group) for group in value):
        return (tuple(map(_as_tuple, value)),)
    return _as_tuple(value)


def _is_flat(value: object) -> bool:
    return isinstance(value, list | tuple) and not any(isinstance(item, list | tuple) for item in value)


def _as_sets(value: object) -> object:
    """Wrap a single set of cuts: `conv1` and `[conv1, 2]` are one set, `[[], [conv1, 2]]` is an axis of two."""
    if not isinstance(value, list | tuple) or _is_flat(value):
        return (_as_tuple(value),)
    return tuple(map(_as_tuple, value))


def _as_top_layers(value: object) -> object:
    return value if value == "same" else _as_layers(value)


def _collect_options(settings: object, fields: Collection[str]) -> object:
    """Move the settings of a card, which a job writes beside the declared fields, into `options`."""
    if not isinstance(settings, Mapping):
        return settings
    card_settings = {name: value for name, value in settings.items() if name not in fields}
    if not card_settings:
        return settings
    declared = {name: value for name, value in settings.items() if name in fields}
    options = declared.get("options", {})
    return declared | {"options": {**options, **card_settings} if isinstance(options, Mapping) else options}


# Strict: a number in quotes, `true` for 1 and `3.0` for 3 are refused instead of converted.
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]  # takes a whole number too

T = TypeVar("T")
Axis = Annotated[tuple[T, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
LabelsAxis = Annotated[
    tuple[str | tuple[tuple[Whole, ...], ...], ...], BeforeValidator(_as_labels), Field(min_length=1)
]
FreezeAxis = Annotated[tuple[tuple[str | Whole, ...], ...], BeforeValidator(_as_sets), Field(min_length=1)]
Zip = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_as_groups)]

Sides = Annotated[tuple[Annotated[Whole, Field(ge=1)], ...], Field(min_length=1, max_length=2)]
Channels = Annotated[tuple[Number, ...], Field(min_length=1)]
Deviation = Annotated[Number, Field(gt=0)]
Deviations = Annotated[tuple[Deviation, ...], Field(min_length=1)]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Scalar = bool | int | float | str


class Section(BaseModel):
    """A part of a job: immutable, and no key that is not declared is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetFolder(Section):
    """A data set in a folder. Exactly one of the two keys is given."""

    parquet: str | None = Field(
        default=None, description="Folder with the data set as Parquet files. Give either `parquet` or `imagefolder`."
    )
    imagefolder: str | None = Field(
        default=None,
        description="Folder with image files in train/CLASS and test/CLASS. Give either `parquet` or `imagefolder`.",
    )


class InputSpec(Section):
    """The images that a network takes, if they aren't those of the data set as they are."""

    size: Annotated[Whole, Field(ge=1)] | Sides | None = Field(
        default=None, description="Sides in pixels: one number, or height and width. Default: those of the data set."
    )
    mean: Number | Channels | None = Field(
        default=None,
        description=(
            "Mean of each channel, for pixels between 0 and 1. Default: that of the data set's training images. "
            "Several numbers give a grey image as many equal channels."
        ),
    )
    std: Deviation | Deviations | None = Field(
        default=None, description="Standard deviation of each channel, for pixels between 0 and 1. Given with `mean`."
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="How images are resized; both antialias when they shrink them."
    )


class Family(Section):
    """A family of models: one model for every combination of its axes.

    Settings of the architecture, such as `width`, are written beside the other keys.
    """

    arch: Axis[str] = Field(
        description=(
            "Architecture: a name from the table of architectures, a network from torchvision or timm, or one of your "
            "own, such as `nets.py:Class`."
        )
    )
    options: dict[str, Axis[Scalar]] = Field(
        default={},
        description=(
            "Settings of the architecture, such as `width`. In a job file they are written beside the other keys."
        ),
    )
    samples: Axis[Annotated[Whole, Field(ge=1)] | Literal["all"]] = Field(
        default=("all",), description="Number of training images, or `all`."
    )
    nested: Axis[Flag] = Field(
        default=(False,),
        description=(
            "True: subsets are nested, so that the images of a smaller one are part of every larger one, "
            "whatever the seed. False: every seed draws its own images."
        ),
    )
    shards: Axis[Annotated[Whole, Field(ge=1)]] = Field(
        default=(1,),
        description="Number of disjoint parts into which the training images are divided, the same for every seed.",
    )
    shard: Axis[Annotated[Whole, Field(ge=0)]] = Field(
        default=(0,), description="Which of the `shards` parts, counted from 0, the `samples` are taken from."
    )
    subset_seed: Axis[Seed] = Field(
        default=(0,), description="Seed of the fixed order of images from which nested subsets and shards are taken."
    )
    labels: LabelsAxis = Field(
        default=("classes",),
        description=(
            "Labels to train on: `classes`, `object_animal`, or groups of classes such as [[0, 1, 8, 9], "
            "[2, 3, 4, 5, 6, 7]]."
        ),
    )
    label_noise: Axis[Annotated[Number, Field(ge=0, le=1)]] = Field(
        default=(0.0,), description="Probability that the label of a training image is replaced by a random one."
    )
    label_noise_kind: Axis[Literal["other_class", "any_class"]] = Field(
        default=("other_class",),
        description="How a replaced label is drawn: `other_class` never draws the right class, `any_class` may.",
    )
    label_smoothing: Axis[Annotated[Number, Field(ge=0, lt=1)]] = Field(
        default=(0.0,), description="Weight of the uniform distribution over classes in the training target."
    )
    steps: Axis[Annotated[Whole, Field(ge=0)]] | None = Field(
        default=None,
        description="Training steps; 0 leaves the model at its initialisation. Give either `steps` or `epochs`.",
    )
    epochs: Axis[Annotated[Number, Field(gt=0)]] | None = Field(
        default=None, description="Passes over the training images. Give either `steps` or `epochs`."
    )
    snapshot: Axis[Annotated[Number, Field(gt=0)]] | None = Field(
        default=None,
        description=(
            "When during training the model is taken, in the unit of the length (steps or epochs). "
            "Default: at the end of training."
        ),
    )
    seed: Axis[Seed] = Field(
        default=(0,), description="Seed of the initialisation, the order of the images and the augmentation."
    )
    batch: Axis[Annotated[Whole, Field(ge=1)]] = Field(default=(128,), description="Images per training step.")
    lr: Axis[Annotated[Number, Field(gt=0)]] = Field(default=(0.05,), description="Peak learning rate.")
    momentum: Axis[Annotated[Number, Field(ge=0, lt=1)]] = Field(
        default=(0.9,), description="Momentum of stochastic gradient descent."
    )
    weight_decay: Axis[Annotated[Number, Field(ge=0)]] = Field(default=(1e-4,), description="Weight decay.")
    schedule: Axis[Literal["constant", "step", "cosine", "one_cycle"]] = Field(
        default=("step",), description="Schedule of the learning rate; `step` is the paper's."
    )
    warmup: Axis[Annotated[Number, Field(ge=0, le=1)]] = Field(
        default=(0.0,), description="Share of the steps during which the learning rate rises linearly from 0."
    )
    augment: Axis[Literal["none", "crop_flip"]] | None = Field(
        default=None, description="Augmentation of the training images. Default: the one of the data set."
    )
    objective: Axis[Literal["supervised", "simclr"]] = Field(
        default=("supervised",),
        description="`supervised` trains on labels; `simclr` trains without labels, then fits a linear probe.",
    )
    temperature: Axis[Annotated[Number, Field(gt=0)]] | None = Field(
        default=None, description="Temperature of the SimCLR loss. Default: 0.5."
    )
    probe_steps: Axis[Annotated[Whole, Field(ge=1)]] | None = Field(
        default=None, description="Training steps of the linear probe after SimCLR. Default: 1000."
    )
    init_from: Axis[str] | None = Field(
        default=None,
        description=(
            "Family whose weights training begins from: those of its only model, or of its one model with"
            " an equal seed."
        ),
    )
    weights: Axis[str] = Field(
        default=(NONE,),
        description=(
            "Trained weights to begin from: a file (.safetensors, .pt, .pth, .bin, .ckpt), `pretrained` (those that "
            "torchvision or timm publishes) or a named set of torchvision's. With `steps: 0` they are used unchanged."
        ),
    )
    input: Axis[InputSpec | Literal["weights"]] | None = Field(
        default=None,
        description=(
            "Images that the network takes: a mapping of `size`, `mean` and `std`, or `weights` for those that the"
            " weights were trained on. Default: the images of the data set as they are."
        ),
    )
    head: Axis[Literal["weights", "probe"]] = Field(
        default=("weights",),
        description=(
            "`probe` draws a new last layer and trains it alone, a linear probe. `weights` takes the last layer from"
            " the initial weights, and trains all layers."
        ),
    )
    reset: Axis[Literal["none", "ends", "ends_torch", "head"]] = Field(
        default=("none",),
        description=(
            "Which layers of the given weights are replaced. `ends`: the first and the last layer get the initial "
            "weights of this seed, from which a model of `init_from` with the same seed started as well; "
            "`ends_torch`: they are drawn independently, as torch does by default (`reset_parameters()`), with a sixth "
            'of the variance in a convolution: the authors\' "random" control; '
            "`head`: the last layer, by its initial weights of this seed."
        ),
    )
    freeze: FreezeAxis | None = Field(
        default=None,
        description="Cuts whose layers don't train: for each cut, the layers between the cut before it and itself.",
    )
    freeze_depth: Axis[Annotated[Number, Field(ge=0, lt=1)]] = Field(
        default=(0.0,), description="All layers up to this relative depth don't train."
    )
    zip: Zip = Field(default=(), description="Groups of axes that advance together instead of being multiplied.")

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, settings: Any) -> Any:
        return _collect_options(settings, cls.model_fields)

    @property
    def axes(self) -> Mapping[str, Sequence[Any]]:
        """The axes of the grid by name, including the settings of the architecture."""
        declared = {name: getattr(self, name) for name in Family.model_fields if name not in ("options", "zip")}
        return {name: values for name, values in {**self.options, **declared}.items() if values is not None}


def redrawn_layers(head: str, reset: str) -> str:
    """Return the layers of the initial weights that are drawn again, as in `TrainingRun.reset`; a probe's last is."""
    return "head" if (head, reset) == ("probe", "none") else reset


class OperationSpec(Section):
    """A stitcher or a measure and its settings, each an axis: `conv1x1`, or `{name: linear_cka, debiased: true}`."""

    name: str = Field(description="Name of the stitcher or measure.")
    options: dict[str, Axis[Scalar]] = Field(
        default={}, description="Its settings. In a job file they are written beside `name`."
    )

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, settings: Any) -> Any:
        return _collect_options({"name": settings} if isinstance(settings, str) else settings, cls.model_fields)


class Every(Section):
    """A regular choice of cuts: every n-th."""

    every: Annotated[Whole, Field(ge=1)] = Field(description="Take every n-th cut.")


class Pairing(Section):
    """Pairs of models and the cuts at which they are joined or compared.

    The pairs are all combinations of a bottom and a top model, reduced by `where` and `zip`.
    """

    bottom: Axis[str] = Field(description="Families that the bottom model (A) is taken from.")
    top: Axis[str] = Field(description="Families that the top model (B) is taken from.")
    layers: Annotated[Literal["all"] | Every | tuple[str | Whole, ...], BeforeValidator(_as_layers)] = Field(
        default="all", description="Cuts of the bottom model: `all`, names, numbers, or `{every: n}`."
    )
    top_layers: Annotated[Literal["same", "all"] | Every | tuple[str | Whole, ...], BeforeValidator(_as_top_layers)] = (
        Field(
            "same",
            description=(
                "Cuts of the top model. `same`: each cut of the bottom model is paired with the top's cut of "
                "the same name or number. Otherwise every cut in `layers` is paired with every cut named "
                "here."
            ),
        )
    )
    where: str | None = Field(
        default=None,
        description=(
            'Condition that a pair of models must meet, such as "a.seed != b.seed and a.samples > b.samples".'
        ),
    )
    zip: Zip = Field(
        default=(),
        description=(
            "Axes that advance together: with [bottom, top] the i-th bottom family is paired with the i-th top family."
        ),
    )


class StitchSection(Pairing):
    """Stitches: a trained stitcher feeds the bottom model's activation at one cut into the top model after another.

    The pairs of models are all combinations of a bottom and a top model, reduced by `where` and `zip`.
    """

    stitcher: Axis[OperationSpec] = Field(
        default=(OperationSpec(name="conv1x1"),),
        description="Stitchers that join the two models: a name, or a mapping of `name` and settings.",
    )
    protocol: Axis[Literal["strict", "paper"]] = Field(
        default=("strict",), description="How the stitcher is trained: see the table of protocols."
    )
    data: Axis[Literal["full", "top", "all"]] = Field(
        default=("full",),
        description=(
            "Images that the stitcher is trained on. `full`: the training set without the held-out images; `all`: "
            "every training image, as in the authors' code; `top`: those that the top model was trained on."
        ),
    )
    seed: Axis[Seed] = Field(
        default=(0,), description="Seed of the stitcher's initialisation and of the order of its images."
    )
    steps: Axis[Annotated[Whole, Field(ge=0)]] | None = Field(
        default=None, description="Training steps of the stitcher. Default: the protocol's."
    )
    batch: Axis[Annotated[Whole, Field(ge=1)]] | None = Field(
        default=None, description="Images per training step of the stitcher. Default: the protocol's."
    )
    lr: Axis[Annotated[Number, Field(gt=0)]] | None = Field(
        default=None, description="Learning rate of the stitcher. Default: the protocol's."
    )
    augment: Axis[Literal["none", "crop_flip"]] | None = Field(
        default=None, description="Augmentation of the stitcher's training images. Default: the protocol's."
    )
    stop: Axis[Literal["held_out", "none"]] = Field(
        default=("held_out",),
        description=(
            "`held_out`: a strict stitcher stops when held-out images show no further improvement. "
            "`none`: it takes all its steps."
        ),
    )
    sender: Axis[Literal["network", "label", "noise"]] = Field(
        default=("network",),
        description=(
            "What the stitcher reads: `network`, the bottom model's activation; or a control in its place: `label`, a "
            "fixed random code of the true class; `noise`, the activation of another image, drawn at random."
        ),
    )
    train: Axis[Literal["stitcher", "top"]] = Field(
        default=("stitcher",),
        description=(
            "`stitcher` trains the stitcher alone; `top` also fine-tunes a copy of the top model's layers"
            " after the cut."
        ),
    )


class SimilaritySection(Pairing):
    """Similarity measurements between activations of two models on the same images.

    The pairs of models are all combinations of a bottom and a top model, reduced by `where` and `zip`.
    """

    measure: Axis[OperationSpec] = Field(
        default=(OperationSpec(name="linear_cka"),),
        description="Similarity measures: a name, or a mapping of `name` and settings.",
    )
    null: Axis[Annotated[Whole, Field(ge=0)]] = Field(
        default=(0,),
        description=(
            "How often the similarity is also computed with the top model's images permuted, to calibrate it."
        ),
    )


class Engine(Section):
    """The settings of the run: cluster, workers, time limits, precision. None of them enters the id of a task."""

    address: str | None = Field(
        default=None, description="Address of a Ray cluster, or `auto`. Default: Sweeper starts a local Ray."
    )
    workers: Annotated[Whole, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="Number of workers, or `auto`: as many as fit the cluster."
    )
    cpus: Annotated[Number, Field(gt=0)] = Field(default=1, description="CPUs per worker.")
    gpus: Annotated[Number, Field(ge=0)] | Literal["auto"] = Field(
        default="auto", description="GPUs per worker, or `auto`: a quarter of a GPU where there is one."
    )
    pack_seconds: Annotated[Number, Field(gt=0)] = Field(
        default=30, description="Estimated duration, in seconds, of the packs into which tasks are grouped."
    )
    retries: Annotated[Whole, Field(ge=0)] = Field(default=2, description="How often a failed task is tried again.")
    timeout: Annotated[Number, Field(gt=0)] = Field(default=3600, description="Seconds after which a task is stopped.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Number format of training steps; `auto`: bfloat16 on GPUs that support it, else float32.",
    )
    deterministic: bool = Field(
        default=True, description="True: the same pack on the same device gives the same bits again."
    )
    compile: bool = Field(
        default=False,
        description=(
            "True: steps that train models use torch.compile, which takes up to a minute for the first "
            "model of a kind on each machine."
        ),
    )


class Limits(Section):
    """Limits that a job is checked against before it starts."""

    tasks: Annotated[Whole, Field(ge=1)] = Field(
        default=5_000_000,
        description="Largest number of tasks that a job may have; a larger job is refused.",
    )


class Sweep(Section):
    """A whole job: which models are trained, which are stitched or compared, and how the job runs."""

    name: Name = Field(description="Name of the job.")
    dataset: str | DatasetFolder = Field(
        default="digits", description="Data set: a name from the table of data sets, or a mapping that names a folder."
    )
    models: dict[Name, Family] = Field(min_length=1, description="Families of models by name.")
    stitch: tuple[StitchSection, ...] = Field(
        default=(), description="Stitches: which models are joined, where and how."
    )
    similarity: tuple[SimilaritySection, ...] = Field(
        default=(), description="Similarity measurements: which activations are compared, and how."
    )
    engine: Engine = Field(
        default=Engine(), description="Where and how the job runs. It has no influence on the ids of tasks."
    )
    store: str | None = Field(
        default=None, description="Path or URL of the store. Default: `runs/` and the job's name."
    )
    margin: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="Difference, in points, that this job's tables count as no difference. Default: 1.0."
    )
    limits: Limits = Field(default=Limits(), description="Limits on the size of the job.")


class PartlyResolvedSweep(Sweep):
    """A job while `load` checks it: the trusted code is recorded, and the data set's digest isn't known yet.

    `resolve` fills in the other fields.
    """

    networks: tuple[Probed, ...] = Field(
        default=(), description="Cards of the external networks. Filled in by `resolve`."
    )
    user_networks: tuple[UserNetwork, ...] = Field(
        default=(), description="Networks in the user's files, with their arguments. Filled in by `load`."
    )
    stitchers: tuple[UserStitcher, ...] = Field(
        default=(),
        description="The user's own stitchers, with the pairs of shapes that each can join. Filled in by `resolve`.",
    )
    weights: tuple[Weights, ...] = Field(
        default=(), description="Trained weights that the job names, with their digests. Filled in by `resolve`."
    )
    code: tuple[Code, ...] = Field(
        default=(), description="The user's code that the job may run. Filled in by `load` where the job is trusted."
    )

    @classmethod
    def of(cls, sweep: Sweep) -> "PartlyResolvedSweep":
        """Return a job itself if it is resolved, wholly or partly, otherwise a copy with nothing resolved yet."""
        if isinstance(sweep, cls):
            return sweep
        return cls.model_construct(set(sweep.model_fields_set), **dict(sweep))


class ResolvedSweep(PartlyResolvedSweep):
    """A job with its data set's sizes, its networks' cards, its weights and its trusted code filled in.

    Stores keep this form as JSON.
    """

    data: Data = Field(description="Digest and sizes of the data set. Filled in by `resolve`.")

    @classmethod
    def with_data(cls, sweep: PartlyResolvedSweep, data: Data) -> "ResolvedSweep":
        """Return a job with its data set."""
        return cls.model_construct({*sweep.model_fields_set, "data"}, **{**dict(sweep), "data": data})


RESOLVED_KEYS = tuple(name for name in ResolvedSweep.model_fields if name not in Sweep.model_fields)
