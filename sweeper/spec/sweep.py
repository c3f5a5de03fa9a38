"""A job as an object: `Sweep` and its sections. The YAML file and the Python API meet here.

Every setting that may be a list is an axis: a scalar is an axis of one. Nothing here touches the disk; `load.py`
reads files and says where a mistake stands, `resolve.py` finds the data set's content.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .task import Data


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


T = TypeVar("T")
Axis = Annotated[tuple[T, ...], BeforeValidator(_as_tuple), Field(min_length=1)]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Scalar = bool | int | float | str


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Folder(Section):
    """A data set in files: exactly one of the two."""

    parquet: str | None = None
    imagefolder: str | None = None


class Family(Section):
    """Models that share a name; the grid of its axes says which. Settings of the architecture (`width`) stand beside
    the others in a job and are collected in `options`."""

    arch: Axis[str]
    options: dict[str, Axis[Scalar]] = {}
    samples: Axis[int | Literal["all"]] = ("all",)
    nested: Axis[bool] = (False,)
    label_noise: Axis[Annotated[float, Field(ge=0, le=1)]] = (0.0,)
    steps: Axis[Annotated[int, Field(ge=0)]] | None = None  # 0: random initialisation
    epochs: Axis[Annotated[float, Field(gt=0)]] | None = None  # exactly one of steps and epochs
    snapshot: Axis[Annotated[float, Field(gt=0)]] | None = None  # in the unit of the length; default: the end
    seed: Axis[Seed] = (0,)
    batch: Axis[Annotated[int, Field(ge=1)]] = (128,)
    lr: Axis[Annotated[float, Field(gt=0)]] = (0.05,)
    momentum: Axis[Annotated[float, Field(ge=0, lt=1)]] = (0.9,)
    weight_decay: Axis[Annotated[float, Field(ge=0)]] = (1e-4,)
    schedule: Axis[Literal["constant", "step", "cosine"]] = ("step",)
    augment: Axis[Literal["none", "crop_flip"]] | None = None  # default: the data set's
    zip: tuple[tuple[str, ...], ...] = ()  # groups of axes that advance together


class Use(Section):
    """A stitcher or a measure and its settings, each an axis."""

    name: str
    options: dict[str, Axis[Scalar]] = {}


class Every(Section):
    every: Annotated[int, Field(ge=1)]


class Pairing(Section):
    """Which models meet, and at which cuts: the product of two groups of families, thinned by `where` and `zip`."""

    bottom: Axis[str]
    top: Axis[str]
    layers: Literal["all"] | Every | tuple[str | int, ...] = "all"
    where: str | None = None  # such as "a.seed != b.seed and a.samples > b.samples"
    zip: tuple[tuple[str, ...], ...] = ()  # ("bottom", "top"): the i-th A meets the i-th B


class StitchSection(Pairing):
    stitcher: tuple[Use, ...] = (Use(name="conv1x1"),)
    protocol: Axis[Literal["strict", "paper"]] = ("strict",)
    data: Axis[Literal["full", "top"]] = ("full",)
    seed: Axis[Seed] = (0,)
    steps: Axis[Annotated[int, Field(ge=0)]] | None = None  # default: the protocol's (cards/protocols.py)
    batch: Axis[Annotated[int, Field(ge=1)]] | None = None
    lr: Axis[Annotated[float, Field(gt=0)]] | None = None
    augment: Axis[Literal["none", "crop_flip"]] | None = None


class SimilaritySection(Pairing):
    measure: tuple[Use, ...] = (Use(name="linear_cka"),)


class Engine(Section):
    """Where and how it runs; in no id."""

    address: str | None = None  # None: a local Ray of our own; else an address or "auto"
    workers: int | Literal["auto"] = "auto"
    cpus: Annotated[float, Field(gt=0)] = 1  # of each worker
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"  # of each worker; auto: a quarter where there is one
    pack_seconds: Annotated[float, Field(gt=0)] = 30
    retries: Annotated[int, Field(ge=0)] = 2
    timeout: Annotated[float, Field(gt=0)] = 3600  # seconds a task


class Limits(Section):
    tasks: Annotated[int, Field(ge=1)] = 5_000_000


class Sweep(Section):
    """The whole question. `data` is what `dataset` resolved to: filled in by `resolve`, carried by a resolved job."""

    name: Name
    dataset: str | Folder = "digits"
    models: dict[Name, Family] = Field(min_length=1)
    stitch: tuple[StitchSection, ...] = ()
    similarity: tuple[SimilaritySection, ...] = ()
    engine: Engine = Engine()
    store: str | None = None
    limits: Limits = Limits()
    data: Data | None = None
