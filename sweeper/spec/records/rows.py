"""Row classes of results, from which Arrow schemas, SQL views, legends and documentation are made.

Units: errors, penalties and gains in percent (points) of images; losses in nats; wall-clock time in seconds;
memory in bytes; depth as the fraction, in [0, 1], of a network's layers that lie before the cut.
"""

import dataclasses
import functools
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
    attempt: Annotated[int, Column("0 for the first attempt at the task in its run, then 1, 2, ...")] = 0
    at: Annotated[datetime, Column("when the row was made, UTC")] = dataclasses.field(
        default_factory=lambda: datetime.now(UTC)
    )
    code: Annotated[str, Column("version of Sweeper")] = ""
    versions: Annotated[str, Column("library versions, as JSON")] = "{}"
    device: Annotated[str, Column("device that computed the result")] = ""
    seconds: Annotated[
        float, Column("wall-clock time; work that a pack shares is divided among its tasks", SECONDS)
    ] = 0.0
    peak_memory: Annotated[int, Column("the worker's peak resident (or GPU) memory", BYTES)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow(Row):
    """A trained (or untrained) network of the zoo."""

    kind: ClassVar[str] = "models"

    training: Annotated[str, Column("id of the training run; snapshots of one run share it")]
    arch: Annotated[str, Column("architecture")]
    width: Annotated[
        int | None,
        Column("channels of the first stage, or units of an mlp's layers; null if the architecture has neither"),
    ]
    options: Annotated[str, Column("every setting of the architecture, as JSON")]
    parameters: Annotated[int, Column("trainable parameters")]
    dataset: Annotated[str, Column("name of the data set")]
    data_digest: Annotated[str, Column("digest of the data set's content")]
    samples: Annotated[int, Column("training images; 0: not trained")]
    nested: Annotated[
        bool, Column("true if all seeds use one fixed order of the images, so that smaller subsets lie in larger ones")
    ]
    label_noise: Annotated[float, Column("probability that a training label was replaced")]
    seed: Annotated[int, Column("seed of initialisation, subset and batches")]
    steps: Annotated[int, Column("optimiser steps taken; 0: random initialisation")]
    schedule_steps: Annotated[int, Column("length of the run's schedule; more than steps for a snapshot")]
    epochs: Annotated[float, Column("passes over the model's own samples")]
    batch: Annotated[int, Column("images per step")]
    lr: Annotated[float, Column("peak learning rate")]
    momentum: Annotated[float, Column("SGD momentum")]
    weight_decay: Annotated[float, Column("weight decay")]
    schedule: Annotated[str, Column("learning-rate schedule")]
    augment: Annotated[str, Column("augmentation of training images")]
    weights: Annotated[str, Column("digest of the weights")]
    train_loss: Annotated[
        float | None, Column("mean training loss over the last steps; null for an untrained network", NATS)
    ]
    test_loss: Annotated[float, Column("cross-entropy on the test images", NATS)]
    test_error: Annotated[float, Column("error on the test images", PERCENT)]
    correct: Annotated[bytes, Column("one bit per test image, packed big-endian: 1 where the prediction is right")]
    shards: Annotated[int, Column("number of disjoint parts (shards) that the training images were divided into")] = 1
    shard: Annotated[int, Column("number of the shard that the model was trained on, from 0")] = 0
    subset_seed: Annotated[
        int, Column("seed of the fixed order of the images that nested subsets and shards are taken from")
    ] = 0
    labels: Annotated[
        str,
        Column("labels that it was trained and is tested on: classes, a named grouping of classes, or groups as JSON"),
    ] = "classes"
    label_noise_kind: Annotated[
        str, Column("a replaced label is drawn from: other_class (all classes but the true one), any_class")
    ] = "other_class"
    label_smoothing: Annotated[float, Column("weight of the uniform target in the training loss")] = 0.0
    warmup: Annotated[float, Column("fraction of the steps during which the learning rate rose")] = 0.0
    objective: Annotated[
        str,
        Column("supervised; simclr: trained without labels (train_loss is NT-Xent), then a linear probe with labels"),
    ] = "supervised"
    temperature: Annotated[float | None, Column("temperature of the loss of simclr; null for supervised training")] = (
        None
    )
    probe_steps: Annotated[int, Column("optimiser steps of the linear probe after simclr")] = 0
    init: Annotated[
        str | None, Column("id of the model whose weights training started from; null if it started from none")
    ] = None
    init_weights: Annotated[
        str | None,
        Column("digest of the weights that training started from, of a model or a file; null for random weights"),
    ] = None
    reset: Annotated[
        str,
        Column(
            "layers whose starting weights were replaced: none; ends (the first and the last layer, by the "
            "architecture's initial weights of the seed); ends_torch (the same layers, drawn as torch does by "
            "default); head (the last layer)"
        ),
    ] = "none"
    frozen: Annotated[
        str, Column("stages whose weights were not trained, by the names of the cuts they end at, joined by commas")
    ] = ""
    head: Annotated[
        str, Column("weights: all layers that are not frozen were trained; probe: only the last layer was trained")
    ] = "weights"
    input: Annotated[
        str | None,
        Column(
            "size, mean and standard deviation of the images that the network takes; null: the data set's as they are"
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchRow(Row):
    """A stitch: its spec, the weights it used, and its results."""

    kind: ClassVar[str] = "stitches"

    a: Annotated[str, Column("id of the bottom's model")]
    b: Annotated[str, Column("id of the top's model")]
    a_weights: Annotated[str, Column("digest of A's weights")]
    b_weights: Annotated[str, Column("digest of B's weights")]
    cut_a: Annotated[str, Column("the layers of A up to this cut are used")]
    cut_b: Annotated[str, Column("the layers of B after this cut are used; output: none of them (a probe)")]
    position_a: Annotated[int, Column("number of the cut in A, in the paper's numbering")]
    position_b: Annotated[int, Column("number of the cut in B, in the paper's numbering")]
    depth_a: Annotated[float, Column("fraction of A's layers that lie in the bottom")]
    depth_b: Annotated[float, Column("fraction of B's layers that are replaced")]
    stitcher: Annotated[str, Column("name of the stitcher; of a user's own, with a version of its code: wide@3f2a9c1b")]
    options: Annotated[str, Column("every setting of the stitcher, as JSON")]
    protocol: Annotated[
        str, Column("strict: both networks are frozen, in eval mode; paper: in train mode, so norm statistics change")
    ]
    data: Annotated[
        str,
        Column(
            "images the stitcher is trained on: full (the training split without its held-out images), all (with "
            "them), top (those B was trained on)"
        ),
    ]
    data_digest: Annotated[str, Column("digest of the data set's content")]
    seed: Annotated[int, Column("seed of the stitcher and of its batches")]
    max_steps: Annotated[int, Column("upper limit on the optimiser steps")]
    batch: Annotated[int, Column("images per step")]
    lr: Annotated[float, Column("peak learning rate")]
    augment: Annotated[str, Column("augmentation of the stitcher's images")]
    stop: Annotated[
        str,
        Column("held_out: strict stops when the loss on held-out images no longer falls; none: takes all steps"),
    ] = "held_out"
    sender: Annotated[
        str,
        Column(
            "input of the stitcher: network (A's activation); or instead, as a control, label (a fixed random code of "
            "the image's true class), noise (A's activation of another image, drawn at random)",
        ),
    ] = "network"
    train: Annotated[
        str,
        Column(
            "trained layers: stitcher; top (the stitcher and a copy of B's layers after the cut: fine-tuning, a "
            "control, because it can hide a bad representation)",
        ),
    ] = "stitcher"
    parameters: Annotated[int, Column("parameters of the stitcher")]
    steps: Annotated[
        int,
        Column("optimiser steps taken after the start; for a linear probe that is solved, the solver's iterations"),
    ]
    converged: Annotated[
        bool,
        Column(
            "true if the last phase of training, of at least two, lowered the loss on held-out training images by "
            "less than 2 % of it, or by less than 0.005 nats"
        ),
    ]
    stop_data: Annotated[
        str,
        Column(
            "images that decided when to stop: held_out (neither A nor B was trained on them), seen (A or B was, or "
            "may have been if its weights are from a file, or the stitcher was because of data: all), none"
        ),
    ]
    train_loss: Annotated[float | None, Column("mean cross-entropy over the last steps", NATS)]
    test_loss: Annotated[float, Column("cross-entropy of the stitched network on the test images", NATS)]
    test_error: Annotated[float, Column("error of the stitched network on the test images, by B's labels", PERCENT)]
    a_loss: Annotated[float, Column("A's own test loss", NATS)]
    b_loss: Annotated[float, Column("B's own test loss", NATS)]
    a_error: Annotated[float, Column("A's own test error by A's labels, with the weights used in the stitch", PERCENT)]
    b_error: Annotated[float, Column("B's own test error, with the weights used in the stitch", PERCENT)]
    penalty: Annotated[float, Column("test_error - b_error", PERCENT)]
    gain: Annotated[
        float,
        Column("b_error - test_error; contains what the stitcher itself learns, so compare A by net_gain", PERCENT),
    ]
    direct_error: Annotated[
        float | None,
        Column("test error with the closed-form (least squares) stitcher; null if the shapes don't allow one", PERCENT),
    ]
    direct_loss: Annotated[float | None, Column("test loss with the closed-form stitcher", NATS)]
    direct_r2: Annotated[
        float | None, Column("fraction of the variance of B's activation that the closed-form stitcher explains (R2)")
    ]
    drift: Annotated[
        float | None,
        Column(
            "squared distance of the stitched activations from B's own on the test images, as a fraction of the "
            "variance of B's own (1 - R2); near 0, B's top gets activations like those it was trained on; null for a "
            "probe, if B's activations don't vary, or in rows of an older version"
        ),
    ] = None
    agreement: Annotated[
        float | None,
        Column("fraction of the test images for which the stitched network and B predict the same class", PERCENT),
    ] = None
    affine_top: Annotated[
        bool | None,
        Column(
            "true if all layers of B after the cut are affine: B adds no more than a linear classifier, and the "
            "stitched network is a probe of A; null in rows of an older version"
        ),
    ] = None
    probe_only: Annotated[
        bool | None,
        Column("true if the stitcher is affine, too: the stitched network is a linear probe of A; null as affine_top"),
    ] = None
    same_as: Annotated[
        str | None,
        Column(
            "the earliest cut at which the same stitcher gives the same networks, as the layers between only average, "
            "select or move places; null if there is none"
        ),
    ] = None
    correct: Annotated[bytes, Column("one bit per test image, packed big-endian: 1 where the prediction is right")]


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
    samples: Annotated[int, Column("number of test images used")]
    value: Annotated[float, Column("value of the measure")]
    null_permutations: Annotated[
        int | None, Column("number of repetitions with the images of B permuted; null if there were none")
    ] = None
    null_mean: Annotated[
        float | None, Column("mean of the measure over these repetitions: its value for unrelated images")
    ] = None
    null_std: Annotated[float | None, Column("standard deviation of the measure over these repetitions")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRow(Row):
    """A point of a learning curve, of a training run (task: the model it leads to) or of a stitch."""

    kind: ClassVar[str] = "curves"

    step: Annotated[int, Column("optimiser steps taken")]
    split: Annotated[str, Column("train: mean over the steps since the last point; stop: on held-out training images")]
    loss: Annotated[float, Column("cross-entropy", NATS)]
    error: Annotated[float | None, Column("error", PERCENT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow(Row):
    """A task that was tried and did not succeed."""

    kind: ClassVar[str] = "failures"

    of: Annotated[str, Column("kind of row that the task would have made: models, stitches, similarities")]
    error: Annotated[str, Column("class of the error")]
    message: Annotated[str, Column("text of the error")]
    traceback: Annotated[str, Column("traceback of the error; empty if the worker was lost")]
    final: Annotated[
        bool,
        Column(
            "true if the task has failed for good: no run tries it again without --retry-failed; false if it is tried "
            "again, at the latest by the next run, because retries were left or the cause lay outside the task"
        ),
    ]
    place: Annotated[str | None, Column("file and line of the code that raised the error; null if it is not known")] = (
        None
    )
    host: Annotated[str | None, Column("name of the worker's machine; null if it is not known")] = None
    signal: Annotated[
        str | None,
        Column(
            "signal that ended the worker's process, by its log; SIGKILL if it left no trace; null if there was none"
        ),
    ] = None
    exit_code: Annotated[int | None, Column("exit code of the worker's process, if it ended by itself")] = None
    log: Annotated[str | None, Column("last lines of the worker's log (stderr, stdout) at the time of the failure")] = (
        None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow(Row):
    """The start or the end of a run (task: the run's own id)."""

    kind: ClassVar[str] = "runs"

    job: Annotated[str, Column("name of the job")]
    event: Annotated[str, Column("start or end")]
    outcome: Annotated[str, Column("at the end: complete, failed or interrupted")]
    host: Annotated[str, Column("name of the driver's machine")]
    pid: Annotated[int, Column("id of the driver's process")]
    job_given: Annotated[str, Column("at the start: the job file as given, YAML")]
    job_resolved: Annotated[str, Column("at the start: the resolved job, JSON; `sweeper resume` runs it")]
    tasks: Annotated[int, Column("tasks of the job")]
    done_before: Annotated[int, Column("tasks of the job that were already in the store at the start")]
    done: Annotated[int, Column("at the end: tasks finished by this run")]
    failed: Annotated[int, Column("at the end: tasks that failed in this run")]


ROWS: Mapping[str, type[Row]] = {
    row.kind: row for row in (ModelRow, StitchRow, SimilarityRow, CurveRow, FailureRow, RunRow)
}

# The kinds of the rows that results are stored in. A task that has such a row is done.
RECEIPTS = ("models", "stitches", "similarities")


class Field(NamedTuple):
    """The name, type and meaning of a field of a row; schemas and legends are made from it."""

    name: str
    type: type
    nullable: bool
    column: Column
    default: object = None  # of a column that was added later: the value of rows stored without it


@functools.cache
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
