"""A job as an object: `Sweep` and its sections. The YAML file and the Python API meet here.

Every setting that may be a list is an axis: a scalar is an axis of one. Nothing here touches the disk; `load.py`
reads files and says where a mistake stands, `resolve.py` finds the data set's content.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from sweeper.spec.cards.probed import Probed
from sweeper.spec.cards.user_stitchers import UserStitcher
from sweeper.spec.content.weights import NONE, Weights
from sweeper.spec.records.task import Data
from sweeper.spec.user_code.code import Code


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _as_groups(value: object) -> object:
    """`zip: [samples, steps]` is one group, `[[samples, steps], [seed, lr]]` are two."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return (value,)
    return value


def _as_layers(value: object) -> object:
    """`layers: conv1` is a list of one."""
    return (value,) if isinstance(value, int) or (isinstance(value, str) and value != "all") else value


def _as_labels(value: object) -> object:
    """`[[0, 1], [2, 3]]` is one grouping, `[classes, [[0, 1], [2, 3]]]` an axis of two."""
    grouping = isinstance(value, list | tuple) and value and all(_is_flat(group) for group in value)
    return (value,) if grouping else _as_tuple(value)


def _is_flat(value: object) -> bool:
    return isinstance(value, list | tuple) and not any(isinstance(item, list | tuple) for item in value)


def _as_sets(value: object) -> object:
    """`conv1` and `[conv1, 2]` are one set of cuts, `[[], [conv1, 2]]` an axis of two."""
    if not isinstance(value, list | tuple):
        return ((value,),)
    return (value,) if _is_flat(value) else tuple(value)


def _as_top_layers(value: object) -> object:
    return value if value == "same" else _as_layers(value)


def _collect_options(given: object, fields: Collection[str]) -> object:
    """Settings of a card stand beside the declared fields; they move into `options`."""
    if not isinstance(given, Mapping):
        return given
    beside = {name: value for name, value in given.items() if name not in fields}
    if not beside:
        return given
    declared = {name: value for name, value in given.items() if name in fields}
    options = declared.get("options", {})
    return declared | {"options": {**options, **beside} if isinstance(options, Mapping) else options}


# A number in quotes, true for 1 and 3.0 for 3 are mistakes here, not spellings.
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

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Scalar = bool | int | float | str


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Folder(Section):
    """A data set in files: exactly one of the two."""

    parquet: str | None = None
    imagefolder: str | None = None


class Family(Section):
    """Models that share a name; the grid of its axes says which. Settings of the architecture (`width`) stand beside
    the others in a job and are collected in `options`."""

    arch: Axis[str]
    options: dict[str, Axis[Scalar]] = {}
    samples: Axis[Annotated[Whole, Field(ge=1)] | Literal["all"]] = ("all",)
    nested: Axis[Flag] = (False,)
    shards: Axis[Annotated[Whole, Field(ge=1)]] = (1,)  # deals the images into disjoint parts, the same for each seed
    shard: Axis[Annotated[Whole, Field(ge=0)]] = (0,)  # the part, from 0, that `samples` are taken from
    subset_seed: Axis[Seed] = (0,)  # another fixed order for nested subsets and shards
    labels: LabelsAxis = ("classes",)  # or object_animal, or groups of classes: [[0, 1, 8, 9], [2, 3, 4, 5, 6, 7]]
    label_noise: Axis[Annotated[Number, Field(ge=0, le=1)]] = (0.0,)  # probability that a label is replaced
    label_noise_kind: Axis[Literal["other_class", "any_class"]] = ("other_class",)  # any: the right one may stay
    label_smoothing: Axis[Annotated[Number, Field(ge=0, lt=1)]] = (0.0,)  # weight of the uniform target
    steps: Axis[Annotated[Whole, Field(ge=0)]] | None = None  # 0: random initialisation
    epochs: Axis[Annotated[Number, Field(gt=0)]] | None = None  # exactly one of steps and epochs
    snapshot: Axis[Annotated[Number, Field(gt=0)]] | None = None  # in the unit of the length; default: the end
    seed: Axis[Seed] = (0,)
    batch: Axis[Annotated[Whole, Field(ge=1)]] = (128,)
    lr: Axis[Annotated[Number, Field(gt=0)]] = (0.05,)
    momentum: Axis[Annotated[Number, Field(ge=0, lt=1)]] = (0.9,)
    weight_decay: Axis[Annotated[Number, Field(ge=0)]] = (1e-4,)
    schedule: Axis[Literal["constant", "step", "cosine", "one_cycle"]] = ("step",)  # step: the paper's
    warmup: Axis[Annotated[Number, Field(ge=0, le=1)]] = (0.0,)  # share of the steps in which the rate rises linearly
    augment: Axis[Literal["none", "crop_flip"]] | None = None  # default: the data set's
    objective: Axis[Literal["supervised", "simclr"]] = ("supervised",)  # simclr: without labels, then a linear probe
    temperature: Axis[Annotated[Number, Field(gt=0)]] | None = None  # of simclr's loss; default 0.5
    probe_steps: Axis[Annotated[Whole, Field(ge=1)]] | None = None  # of simclr's probe; default 1000
    init_from: Axis[str] | None = None  # a family: weights of its only model, or of its one of equal seed
    weights: Axis[str] = (NONE,)  # a file (.safetensors, .pt, .pth), or a set of torchvision's; with steps 0 as it is
    reset: Axis[Literal["none", "ends"]] = ("none",)  # ends: first and last layer drawn again (the authors' "random")
    freeze: FreezeAxis | None = None  # cuts: the layers that end there, after the cut before, stay as they began
    freeze_depth: Axis[Annotated[Number, Field(ge=0, lt=1)]] = (0.0,)  # freezes all layers up to this depth
    zip: Zip = ()  # groups of axes that advance together

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, given: Any) -> Any:
        return _collect_options(given, cls.model_fields)

    @property
    def axes(self) -> Mapping[str, Sequence[Any]]:
        """The axes of the grid by name; settings of the architecture beside the others."""
        own = {name: getattr(self, name) for name in Family.model_fields if name not in ("options", "zip")}
        return {name: values for name, values in {**self.options, **own}.items() if values is not None}


class Use(Section):
    """A stitcher or a measure and its settings, each an axis: `conv1x1`, or `{name: linear_cka, debiased: true}`."""

    name: str
    options: dict[str, Axis[Scalar]] = {}

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, given: Any) -> Any:
        return _collect_options({"name": given} if isinstance(given, str) else given, cls.model_fields)


class Every(Section):
    every: Annotated[Whole, Field(ge=1)]


class Pairing(Section):
    """Which models meet, and at which cuts: the product of two groups of families, thinned by `where` and `zip`."""

    bottom: Axis[str]
    top: Axis[str]
    layers: Annotated[Literal["all"] | Every | tuple[str | Whole, ...], BeforeValidator(_as_layers)] = "all"
    # same: each of A's layers meets B's of its name or number; else every one of A's meets every one of these.
    top_layers: Annotated[Literal["same", "all"] | Every | tuple[str | Whole, ...], BeforeValidator(_as_top_layers)] = (
        "same"
    )
    where: str | None = None  # such as "a.seed != b.seed and a.samples > b.samples"
    zip: Zip = ()  # ("bottom", "top"): the i-th A meets the i-th B


class StitchSection(Pairing):
    stitcher: Axis[Use] = (Use(name="conv1x1"),)
    protocol: Axis[Literal["strict", "paper"]] = ("strict",)
    data: Axis[Literal["full", "top"]] = ("full",)
    seed: Axis[Seed] = (0,)
    steps: Axis[Annotated[Whole, Field(ge=0)]] | None = None  # default: the protocol's (cards/protocols.py)
    batch: Axis[Annotated[Whole, Field(ge=1)]] | None = None
    lr: Axis[Annotated[Number, Field(gt=0)]] | None = None
    augment: Axis[Literal["none", "crop_flip"]] | None = None
    stop: Axis[Literal["held_out", "none"]] = ("held_out",)  # none: strict takes all its steps
    sender: Axis[Literal["network", "label"]] = ("network",)  # label: a fixed random code of the true class, for A's
    train: Axis[Literal["stitcher", "top"]] = ("stitcher",)  # top: fine-tunes a copy of B's layers after the cut, too


class SimilaritySection(Pairing):
    measure: Axis[Use] = (Use(name="linear_cka"),)
    null: Axis[Annotated[Whole, Field(ge=0)]] = (0,)  # times that it is taken again, with B's images permuted


class Engine(Section):
    """Where and how it runs; in no id."""

    address: str | None = None  # None: a local Ray of our own; else an address or "auto"
    workers: Annotated[Whole, Field(ge=1)] | Literal["auto"] = "auto"
    cpus: Annotated[Number, Field(gt=0)] = 1  # of each worker
    gpus: Annotated[Number, Field(ge=0)] | Literal["auto"] = (
        "auto"  # of each worker; auto: 1/4 of one, where there is one
    )
    pack_seconds: Annotated[Number, Field(gt=0)] = 30
    retries: Annotated[Whole, Field(ge=0)] = 2
    timeout: Annotated[Number, Field(gt=0)] = 3600  # seconds a task
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of training steps; auto: bfloat16 on GPUs that have it
    deterministic: bool = True  # the same pack again on the same device gives the same bits
    compile: bool = False  # torch.compile for steps that train models: up to a minute for a machine's first of a kind


class Limits(Section):
    tasks: Annotated[Whole, Field(ge=1)] = 5_000_000


class Sweep(Section):
    """The whole question. `data` is what `dataset` resolved to, `networks` are the cards of networks from elsewhere,
    `stitchers` what those of a user's own say of their shapes, `weights` what trained weights resolved to: filled in by
    `resolve`, carried by a resolved job. `code` is the user's code that may be run: filled in by `load` where it is
    trusted."""

    name: Name
    dataset: str | Folder = "digits"
    models: dict[Name, Family] = Field(min_length=1)
    stitch: tuple[StitchSection, ...] = ()
    similarity: tuple[SimilaritySection, ...] = ()
    engine: Engine = Engine()
    store: str | None = None
    margin: Annotated[Number, Field(gt=0)] | None = None  # points that count as none in this job's tables; default 1.0
    limits: Limits = Limits()
    data: Data | None = None
    networks: tuple[Probed, ...] = ()
    stitchers: tuple[UserStitcher, ...] = ()
    weights: tuple[Weights, ...] = ()
    code: tuple[Code, ...] = ()
