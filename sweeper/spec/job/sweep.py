"""A job as an object: `Sweep` and its sections, which a YAML file and the Python API both produce.

Every setting that may be a list is an axis; a scalar is an axis of one value. The descriptions of the fields are the
reference of the job file: `sweeper schema` and docs/job.md are made from them. Nothing here reads the disk: `load.py`
reads files and locates mistakes in them, `resolve.py` finds the content of the data set.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sweeper.spec.cards.probed import Probed
from sweeper.spec.cards.user_networks import UserNetwork
from sweeper.spec.cards.user_stitchers import UserStitcher
from sweeper.spec.content.weights import Weights
from sweeper.spec.job.family import Family
from sweeper.spec.job.section import (
    Axis,
    Name,
    Number,
    Scalar,
    Section,
    Seed,
    Whole,
    Zip,
    as_tuple,
    collect_options,
)
from sweeper.spec.records.task import Data
from sweeper.spec.user_code.code import Code


def _as_layers(value: object) -> object:
    """Wrap a single cut: `layers: conv1` is a list of one; the numbers of cuts may be ranges."""
    return as_tuple(value) if isinstance(value, int | list | tuple) or _is_cut(value) else value


def _is_cut(value: object) -> bool:
    return isinstance(value, str) and value != "all"


def _as_top_layers(value: object) -> object:
    return value if value == "same" else _as_layers(value)


class DatasetFolder(Section):
    """A data set in a folder. Exactly one of the two keys is given."""

    parquet: str | None = Field(
        default=None, description="Folder with the data set as Parquet files. Give either `parquet` or `imagefolder`."
    )
    imagefolder: str | None = Field(
        default=None,
        description="Folder with image files in train/CLASS and test/CLASS. Give either `parquet` or `imagefolder`.",
    )


class OperationSpec(Section):
    """A stitcher or a measure and its settings, each an axis: `conv1x1`, or `{name: linear_cka, debiased: true}`."""

    name: str = Field(description="Name of the stitcher or measure.")
    options: dict[str, Axis[Scalar]] = Field(
        default={}, description="Its settings. In a job file they are written beside `name`."
    )

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, settings: Any) -> Any:
        return collect_options({"name": settings} if isinstance(settings, str) else settings, cls.model_fields)


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
    label_selector: dict[str, str] = Field(
        default={},
        description="Labels that the nodes of workers must have, such as `{ray.io/accelerator-type: in(A100, H100)}`.",
    )
    pack_seconds: Annotated[Number, Field(gt=0)] = Field(
        default=30, description="Estimated duration, in seconds, of the packs into which tasks are grouped."
    )
    retries: Annotated[Whole, Field(ge=0)] = Field(default=2, description="How often a failed task is tried again.")
    timeout: Annotated[Number, Field(gt=0)] | Literal["auto"] = Field(
        default="auto",
        description=(
            "Seconds in which a task must end, or `auto`: 5 times the estimated seconds of its pack, and at least 3600."
        ),
    )
    save_every: Annotated[Number, Field(gt=0, le=600)] = Field(
        default=300,
        description=(
            "Seconds after which a training run or a stitch that takes longer saves its state in the store, and again "
            "each time, so that a killed worker costs little more than these."
        ),
    )
    wait_for_store: Annotated[Number, Field(ge=0)] = Field(
        default=600,
        description=(
            "Seconds for which workers and driver wait for a store that can't be reached (its bucket doesn't answer, "
            "credentials have expired, the disk is full). They then end; finished tasks that are stored are kept."
        ),
    )
    stop_after_failures: Annotated[Whole, Field(ge=0)] = Field(
        default=20,
        description=(
            "Number of models, stitches or similarities that fail with the same class of error, and none succeeds "
            "meanwhile, after which no more of this kind are started. 0: never."
        ),
    )
    stop_at_failed_share: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="Fraction of failed tasks, of at least 50 that have ended, at which no more tasks are started.",
    )
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

    @property
    def numerics(self) -> dict[str, Any]:
        """The settings of how a process computes, as keyword arguments of the performer."""
        return self.model_dump(include={"precision", "deterministic", "compile"})


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
