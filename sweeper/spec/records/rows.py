"""Row classes of results, from which Arrow schemas, SQL views, legends and documentation are made.

Units: errors, penalties and gains in percent (points) of images; losses in nats; seconds of wall clock; memory in
bytes; depth as a fraction in [0, 1] of the layers that lie in the bottom.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar, NamedTuple, get_type_hints


class Column(NamedTuple):
    """The meaning of a field, and its unit if it has one."""

    meaning: str
    unit: str = ""


PERCENT, NATS, SECONDS, BYTES = "%", "nats", "s", "B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A result of a task, with its provenance.

    The worker fills in `run`, `attempt`, `code` and `versions`; the kernels don't know them.
    """

    kind: ClassVar[str]

    task: Annotated[str, Column("id of the task: a hash of its resolved spec")]
    run: Annotated[str, Column("the run that wrote the row")] = ""
    attempt: Annotated[int, Column("0 for the task's first try in its run, then 1, 2, ...")] = 0
    at: Annotated[datetime, Column("when the row was made, UTC")] = dataclasses.field(
        default_factory=lambda: datetime.now(UTC)
    )
    code: Annotated[str, Column("version of Sweeper")] = ""
    versions: Annotated[str, Column("library versions, as JSON")] = "{}"
    device: Annotated[str, Column("device that computed it")] = ""
    seconds: Annotated[float, Column("wall clock; work shared by a pack counted by share", SECONDS)] = 0.0
    peak_memory: Annotated[int, Column("the worker's peak resident (or GPU) memory", BYTES)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow(Row):
    """A trained (or untrained) network of the zoo."""

    kind: ClassVar[str] = "models"

    training: Annotated[str, Column("id of the training run; snapshots of one run share it")]
    arch: Annotated[str, Column("architecture")]
    width: Annotated[int | None, Column("channels of the first stage, units of an mlp's layers; null: has none")]
    options: Annotated[str, Column("every setting of the architecture, as JSON")]
    parameters: Annotated[int, Column("trainable parameters")]
    dataset: Annotated[str, Column("name of the data set")]
    data_digest: Annotated[str, Column("digest of the data set's content")]
    samples: Annotated[int, Column("training images; 0: not trained")]
    nested: Annotated[bool, Column("smaller subsets lie in larger ones, for every seed")]
    label_noise: Annotated[float, Column("probability that a training label was replaced")]
    seed: Annotated[int, Column("seed of initialisation, subset and batches")]
    steps: Annotated[int, Column("optimiser steps taken; 0: random initialisation")]
    schedule_steps: Annotated[int, Column("length of the run's schedule; more than steps for a snapshot")]
    epochs: Annotated[float, Column("passes over the model's own samples")]
    batch: Annotated[int, Column("images a step")]
    lr: Annotated[float, Column("peak learning rate")]
    momentum: Annotated[float, Column("SGD momentum")]
    weight_decay: Annotated[float, Column("weight decay")]
    schedule: Annotated[str, Column("learning-rate schedule")]
    augment: Annotated[str, Column("augmentation of training images")]
    weights: Annotated[str, Column("digest of the weights")]
    train_loss: Annotated[float | None, Column("mean training loss over the last steps; null: not trained", NATS)]
    test_loss: Annotated[float, Column("cross-entropy on the test images", NATS)]
    test_error: Annotated[float, Column("error on the test images", PERCENT)]
    correct: Annotated[bytes, Column("one bit a test image, packed big-endian: 1 where the prediction is right")]
    shards: Annotated[int, Column("disjoint parts that the training images were dealt into")] = 1
    shard: Annotated[int, Column("the shard that trained the model, from 0")] = 0
    subset_seed: Annotated[int, Column("which fixed order nested subsets and shards were cut from")] = 0
    labels: Annotated[
        str, Column("what it was trained to tell apart, and is judged on: classes, a named grouping, or groups as JSON")
    ] = "classes"
    label_noise_kind: Annotated[str, Column("what a replaced label became: other_class, any_class")] = "other_class"
    label_smoothing: Annotated[float, Column("weight of the uniform target in the training loss")] = 0.0
    warmup: Annotated[float, Column("share of the steps in which the learning rate rose")] = 0.0
    objective: Annotated[
        str, Column("supervised; simclr: learned without labels (train_loss: NT-Xent), then a linear probe")
    ] = "supervised"
    temperature: Annotated[float | None, Column("of simclr's loss")] = None
    probe_steps: Annotated[int, Column("optimiser steps of simclr's probe")] = 0
    init: Annotated[str | None, Column("id of the model whose weights it began with; null: no model's")] = None
    init_weights: Annotated[
        str | None, Column("digest of the weights it began with, a model's or a file's; null: random")
    ] = None
    reset: Annotated[str, Column("which of those were drawn again: none; ends, the first and the last layer")] = "none"
    frozen: Annotated[str, Column("cuts at which the layers end that stayed as they began, joined by commas")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchRow(Row):
    """A stitch: its spec, the weights it used, and its results."""

    kind: ClassVar[str] = "stitches"

    a: Annotated[str, Column("id of the bottom's model")]
    b: Annotated[str, Column("id of the top's model")]
    a_weights: Annotated[str, Column("digest of A's weights")]
    b_weights: Annotated[str, Column("digest of B's weights")]
    cut_a: Annotated[str, Column("A is used up to this cut")]
    cut_b: Annotated[str, Column("B is used after this cut; output: not at all (a probe)")]
    position_a: Annotated[int, Column("number of the cut in A, as the paper counts")]
    position_b: Annotated[int, Column("number of the cut in B, as the paper counts")]
    depth_a: Annotated[float, Column("fraction of A's layers that lie in the bottom")]
    depth_b: Annotated[float, Column("fraction of B's layers that are replaced")]
    stitcher: Annotated[str, Column("kind of stitcher; a user's own with its version: wide@3f2a9c1b")]
    options: Annotated[str, Column("every setting of the stitcher, as JSON")]
    protocol: Annotated[str, Column("strict: both halves untouched in eval mode; paper: train mode, norms move")]
    data: Annotated[str, Column("the stitcher's images: full training split, or B's own (top)")]
    data_digest: Annotated[str, Column("digest of the data set's content")]
    seed: Annotated[int, Column("seed of the stitcher and of its batches")]
    max_steps: Annotated[int, Column("the most steps it might have trained")]
    batch: Annotated[int, Column("images a step")]
    lr: Annotated[float, Column("peak learning rate")]
    augment: Annotated[str, Column("augmentation of the stitcher's images")]
    stop: Annotated[
        str,
        Column("held_out: strict stops when held-out images no longer improve; none: takes all steps"),
    ] = "held_out"
    sender: Annotated[
        str,
        Column(
            "network: A; label: in place of A's activation a fixed random code of the image's true class, which is all "
            "that such a stitch is told",
        ),
    ] = "network"
    train: Annotated[
        str,
        Column(
            "what trained: stitcher; top: the stitcher and a copy of B's layers after the cut (fine-tuning, the "
            "control: it can hide a bad representation)",
        ),
    ] = "stitcher"
    parameters: Annotated[int, Column("parameters of the stitcher")]
    steps: Annotated[int, Column("optimiser steps taken after the closed-form start")]
    converged: Annotated[bool, Column("stopped because held-out training images no longer improved")]
    stop_data: Annotated[
        str,
        Column(
            "images that decided when to stop: held_out, seen (A or B trained on them; or may have, from a file), none"
        ),
    ]
    train_loss: Annotated[float | None, Column("mean cross-entropy over the last steps", NATS)]
    test_loss: Annotated[float, Column("cross-entropy of the stitched network on the test images", NATS)]
    test_error: Annotated[float, Column("error of the stitched network on the test images, by B's labels", PERCENT)]
    a_loss: Annotated[float, Column("A's own test loss", NATS)]
    b_loss: Annotated[float, Column("B's own test loss", NATS)]
    a_error: Annotated[float, Column("A's own test error (by A's labels), from the very weights used", PERCENT)]
    b_error: Annotated[float, Column("B's own test error, from the very weights used", PERCENT)]
    penalty: Annotated[float, Column("test_error - b_error", PERCENT)]
    gain: Annotated[float, Column("b_error - test_error: above 0, A's representation is better for B's top", PERCENT)]
    direct_error: Annotated[
        float | None,
        Column("test error with the closed-form (least squares) stitcher; null where shapes don't allow one", PERCENT),
    ]
    direct_loss: Annotated[float | None, Column("test loss with the closed-form stitcher", NATS)]
    direct_r2: Annotated[float | None, Column("share of the variance of B's activation that it explains")]
    drift: Annotated[
        float | None,
        Column(
            "squared distance of the stitched activations from B's own on the test images, as a share of the variance "
            "of B's own (1 - R2): about 0, B's top reads what it knows; null: B's never vary, a probe, an older version"
        ),
    ] = None
    agreement: Annotated[
        float | None, Column("test images for which the stitched network and B itself predict the same class", PERCENT)
    ] = None
    correct: Annotated[bytes, Column("one bit a test image, packed big-endian: 1 where the prediction is right")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRow(Row):
    """A similarity measure of two activations."""

    kind: ClassVar[str] = "similarities"

    a: Annotated[str, Column("id of the first model")]
    b: Annotated[str, Column("id of the second model")]
    a_weights: Annotated[str, Column("digest of A's weights")]
    b_weights: Annotated[str, Column("digest of B's weights")]
    cut_a: Annotated[str, Column("cut of A")]
    cut_b: Annotated[str, Column("cut of B")]
    position_a: Annotated[int, Column("number of the cut in A")]
    position_b: Annotated[int, Column("number of the cut in B")]
    depth_a: Annotated[float, Column("depth of the cut in A")]
    depth_b: Annotated[float, Column("depth of the cut in B")]
    data_digest: Annotated[str, Column("digest of the data set's content")]
    measure: Annotated[str, Column("name of the measure")]
    options: Annotated[str, Column("every setting of the measure, as JSON")]
    samples: Annotated[int, Column("test images used")]
    value: Annotated[float, Column("the measure")]
    null_permutations: Annotated[int | None, Column("times it was taken with B's images permuted; null: not")] = None
    null_mean: Annotated[float | None, Column("its mean then: what unrelated images would give")] = None
    null_std: Annotated[float | None, Column("its standard deviation then")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRow(Row):
    """A point of a learning curve, of a training run (task: the model it leads to) or of a stitch."""

    kind: ClassVar[str] = "curves"

    step: Annotated[int, Column("optimiser steps taken")]
    split: Annotated[str, Column("train: mean over the steps since the last point; stop: held-out training images")]
    loss: Annotated[float, Column("cross-entropy", NATS)]
    error: Annotated[float | None, Column("error", PERCENT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow(Row):
    """A task that was tried and did not succeed."""

    kind: ClassVar[str] = "failures"

    of: Annotated[str, Column("kind of row that was due: models, stitches, similarities")]
    error: Annotated[str, Column("class of the error")]
    message: Annotated[str, Column("its text")]
    traceback: Annotated[str, Column("where it was raised; empty where the worker was lost")]
    final: Annotated[bool, Column("the retry budget is spent: the task stays failed")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow(Row):
    """The start or the end of a run (task: the run's own id)."""

    kind: ClassVar[str] = "runs"

    job: Annotated[str, Column("name of the job")]
    event: Annotated[str, Column("start, end")]
    outcome: Annotated[str, Column("end only: complete, failed, interrupted")]
    host: Annotated[str, Column("machine of the driver")]
    pid: Annotated[int, Column("process of the driver")]
    job_given: Annotated[str, Column("start only: the job as given, YAML")]
    job_resolved: Annotated[str, Column("start only: the job as resolved, JSON: what resume runs")]
    tasks: Annotated[int, Column("tasks of the job")]
    done_before: Annotated[int, Column("of these, already in the store at the start")]
    done: Annotated[int, Column("end only: tasks finished by this run")]
    failed: Annotated[int, Column("end only: tasks that failed in this run")]


ROWS: Mapping[str, type[Row]] = {
    row.kind: row for row in (ModelRow, StitchRow, SimilarityRow, CurveRow, FailureRow, RunRow)
}

# The kinds whose rows mean that a task is done.
RECEIPTS = ("models", "stitches", "similarities")


class Field(NamedTuple):
    """A field of a row, as schemas and legends need it."""

    name: str
    type: type
    nullable: bool
    column: Column
    default: object = None  # of a column that was added later: the value of rows stored without it


def fields(row: type[Row]) -> tuple[Field, ...]:
    """Return the fields of a row class in order of declaration, with its provenance (the fields of `Row`) last."""
    hints = get_type_hints(row, include_extras=True)
    common = {f.name for f in dataclasses.fields(Row)} - {"task"}
    names = [f.name for f in dataclasses.fields(row)]
    ordered = ["task", *(n for n in names if n not in common and n != "task"), *(n for n in names if n in common)]
    later = {f.name: f.default for f in dataclasses.fields(row) if f.default is not MISSING and f.name not in common}
    return tuple(_field(name, hints[name], later.get(name)) for name in ordered)


def _field(name: str, hint: object, default: object) -> Field:
    declared, column = hint.__origin__, hint.__metadata__[0]  # type: ignore[attr-defined]
    members = getattr(declared, "__args__", (declared,))
    types = [member for member in members if member is not type(None)]
    return Field(name, types[0], len(types) < len(members), column, default)
