"""Resolved tasks: training runs and their models, stitches, similarity measurements, and packs of them.

They are plain frozen dataclasses, made by `plan`, distributed by `engine` and performed by `trials`. Fields that enter
an id have no default, so that none can be forgotten. The exceptions are fields that were added after the first ids
were published: their defaults are the neutral values in `ident.FIELDS_ADDED_LATER`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sweeper.spec.records.ident import Value

# Classes joined into groups, each an output of the network; () if each class is an output.
Groups = tuple[tuple[int, ...], ...]

# Settings of an architecture, stitcher or measure, as sorted (name, value) pairs: hashable and canonical.
Options = tuple[tuple[str, bool | int | float | str], ...]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set, identified by its content. Its folder `where` (of data sets in files) enters no id."""

    name: str  # "digits", "cifar10", ...; "parquet" and "imagefolder" for folders
    digest: str
    train: int  # images in the training split
    test: int
    classes: int
    shape: tuple[int, int, int]  # channels, height, width
    holdout: int  # the last images of the training split (fixed order) are held out: they only decide when to stop
    where: str = ""

    @property
    def spec(self) -> Mapping[str, Value]:
        """The fields that enter ids."""
        return {"digest": self.digest, "holdout": self.holdout}


class NetworkInput(NamedTuple):
    """The images that a network takes, if they differ from those of the data set in size, channels or normalisation."""

    size: tuple[int, int]  # height, width
    mean: tuple[float, ...]  # of each channel, for pixels in [0, 1]; (): those of the data set
    std: tuple[float, ...]
    interpolation: str  # "bilinear", "bicubic"; both with antialiasing

    def shape(self, image: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape that the network takes (channels, height, width), for images of the data set's shape."""
        return (len(self.mean) or image[0], *self.size)

    def __str__(self) -> str:
        """Return the images in words, such as "32x32 bilinear, mean 0.5, std 0.25"."""
        constants = (("mean", self.mean), ("std", self.std))
        texts = [f"{name} {' '.join(map(repr, values))}" for name, values in constants if values]
        return ", ".join([f"{self.size[0]}x{self.size[1]} {self.interpolation}", *texts])


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training run.

    `steps` is the length of its schedule. With 0 steps the network keeps its initial weights, and every field that only
    training reads (samples ... augment) has its neutral value, 0 or "none".
    """

    id: str
    data: Data
    arch: str
    options: Options
    seed: int
    steps: int
    samples: int
    nested: bool  # one fixed order of the images for every seed, so that smaller subsets lie in larger ones
    label_noise: float  # the probability that a label is replaced
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    schedule: str  # "constant", "step", "cosine", "one_cycle"
    augment: str  # "none", "crop_flip"
    warmup: float = 0.0  # the fraction of the steps during which the learning rate rises
    label_smoothing: float = 0.0
    label_noise_kind: str = "other_class"  # what a replaced label becomes: "other_class", "any_class"
    shards: int = 1  # the number of disjoint parts (shards) that the training images are divided into
    shard: int = 0  # the number of the shard that the model is trained on, from 0
    subset_seed: int = 0  # the seed of the fixed order of the images that nested subsets and shards are taken from
    labels: Groups = ()  # the groups of classes that the network's outputs stand for
    objective: str = "supervised"  # or "simclr": training without labels, then a linear probe with labels
    temperature: float = 0.0  # the temperature of SimCLR's loss (NT-Xent)
    probe_steps: int = 0  # the optimiser steps of the linear probe after SimCLR
    init: "Model | None" = None  # the model whose weights training starts from; None: no model's
    reset: str = (
        "none"  # layers of the initial weights drawn again: "ends" (first and last), "ends_torch", "head" (last)
    )
    freeze: tuple[str, ...] = ()  # stages that keep their initial weights, by the names of the cuts they end at
    weights: str = "none"  # digest of the file of its initial weights
    code: str = "none"  # digest of the user's code that makes the network, if the network is a user's own
    input: NetworkInput | None = None  # the images that the network takes; None: the data set's as they are
    head: str = "weights"  # "probe": only the last layer is trained, all others keep their initial weights
    where: str = field(default="", repr=False, compare=False)  # path of a user's network in a file; enters no id

    @property
    def builder(self) -> str:
        """The name from which a worker builds the network: that in rows, or the place of a user's network in a file."""
        return self.where or self.arch

    @property
    def classes(self) -> int:
        """The number of outputs of the network."""
        return len(self.labels) or self.data.classes

    @property
    def image(self) -> tuple[int, int, int]:
        """The shape of the images that the network takes (channels, height, width)."""
        return self.input.shape(self.data.shape) if self.input else self.data.shape


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network of the zoo: a training run's weights after `step` of its steps."""

    id: str
    training: TrainingRun
    step: int

    @property
    def epochs(self) -> float:
        """The number of passes over the model's own samples; 0 for a network that was not trained."""
        return self.step * self.training.batch / self.training.samples if self.step else 0.0

    def option(self, name: str) -> bool | int | float | str | None:
        """Return a setting of the architecture, such as "width"; None if the architecture has no such setting."""
        return dict(self.training.options).get(name)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a stitcher and its training, shared by many stitches of a job."""

    stitcher: str
    options: Options
    protocol: str  # "strict", "paper"
    data: (
        str  # the stitcher's training images: "full" (all but the held-out ones), "all", "top" (those B was trained on)
    )
    seed: int
    steps: int  # the upper limit on its optimiser steps
    batch: int
    lr: float
    augment: str
    # Fields added later, with their neutral values (ident.FIELDS_ADDED_LATER).
    stop: str = field(default="held_out", repr=False)  # early stopping: by the loss on "held_out" images, or "none"
    # The stitcher reads A's activation ("network"), a code of the class ("label") or A's of another image ("noise").
    sender: str = field(default="network", repr=False)
    train: str = field(default="stitcher", repr=False)  # "top": the stitcher and a copy of B's layers after the cut
    source: str = field(default="", repr=False)  # version of the code of a user's stitcher
    where: str = field(default="", repr=False, compare=False)  # import path of a user's stitcher; enters no id


@dataclass(frozen=True, slots=True)
class Stitch:
    """A stitched network: A's layers up to `cut_a`, a stitcher, and B's layers after `cut_b`."""

    id: str
    a: Model
    cut_a: str
    b: Model
    cut_b: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Measurement:
    """A similarity of two activations on the test images, without training."""

    id: str
    a: Model
    cut_a: str
    b: Model
    cut_b: str
    measure: str
    options: Options
    null: int = 0  # the number of repetitions with B's images permuted; 0 enters no id (ident.FIELDS_ADDED_LATER)


@dataclass(frozen=True, slots=True)
class TrainPack:
    """A training run with those of its models (snapshots) that are missing, in order of step."""

    id: str
    training: TrainingRun
    models: tuple[Model, ...]
    seconds: float  # the estimated time on one core
    weights: Mapping[str, str] = field(default_factory=dict)  # digest of the initial model's weights, by model id

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of the models, in order of step."""
        return tuple(model.id for model in self.models)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The id of the model whose weights training starts from, if there is one."""
        return (self.training.init.id,) if self.training.init else ()


@dataclass(frozen=True, slots=True)
class StitchPack:
    """Stitches and measurements with the same A and the same images, which share A's forward passes.

    `weights` (digest by model id) is set when a worker gets the pack, and fixes the weights of A and every B.
    """

    id: str
    a: Model
    stitches: tuple[Stitch, ...]
    measurements: tuple[Measurement, ...]
    seconds: float
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of the stitches, then those of the measurements."""
        return tuple(task.id for task in (*self.stitches, *self.measurements))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The ids of the models that must exist, A first, each once."""
        return tuple(dict.fromkeys([self.a.id, *(task.b.id for task in (*self.stitches, *self.measurements))]))


Pack = TrainPack | StitchPack


class TaskTime(NamedTuple):
    """The measured time of a done task."""

    device: str  # as its row names it
    seconds: float
