"""What is asked, fully resolved: a training run and its models, a stitch, a measurement, a pack of them.

Plain frozen dataclasses, made by `plan`, carried by `engine` and performed by `trials`. What enters an id has no
default, so that what reaches a worker is what was meant; but for fields that came after the first ids, whose default
is the frozen value meaning "as before" (`ident.FIELDS_ADDED_LATER`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweeper.spec.records.ident import Value

# Classes joined into groups, each an output of the network; () where each class is one.
Groups = tuple[tuple[int, ...], ...]

# Settings of an architecture, stitcher or measure, as sorted (name, value) pairs: hashable and canonical.
Options = tuple[tuple[str, bool | int | float | str], ...]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set as resolved: its content, not its place. `where` (a folder, for file-backed sets) is in no id."""

    name: str  # "digits", "cifar10", ...; "parquet" and "imagefolder" for folders
    digest: str
    train: int  # images in the training split
    test: int
    classes: int
    shape: tuple[int, int, int]  # channels, height, width
    holdout: int  # the last images of the training split (fixed order) that serve stopping, not training
    where: str = ""

    @property
    def spec(self) -> Mapping[str, Value]:
        """The part that enters ids."""
        return {"digest": self.digest, "holdout": self.holdout}


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training run. `steps` is the length of its schedule; 0 leaves the network at its random initialisation,
    and then every field that only training reads (samples ... augment) holds its neutral value, 0 or "none"."""

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
    warmup: float = 0.0  # share of the steps over which the learning rate rises
    label_smoothing: float = 0.0
    label_noise_kind: str = "other_class"  # what a replaced label becomes: "other_class", "any_class"
    shards: int = 1  # the training images are dealt into so many disjoint parts
    shard: int = 0  # of which this one trains the model
    subset_seed: int = 0  # of the fixed order that nested subsets and shards are cut from
    labels: Groups = ()
    objective: str = "supervised"  # "simclr": without labels, then a linear probe
    temperature: float = 0.0  # of SimCLR's loss
    probe_steps: int = 0  # of the probe that SimCLR's encoder gets
    init: "Model | None" = None  # whose weights it begins with; None: a random initialisation
    reset: str = "none"  # which of those are drawn again: "ends", the first and the last layer
    freeze: tuple[str, ...] = ()  # stages, by the names of the cuts they end at, that stay as they began
    weights: str = "none"  # digest of the file that it begins with
    code: str = "none"  # digest of the module that makes the network, where that is the user's

    @property
    def classes(self) -> int:
        """Outputs of the network."""
        return len(self.labels) or self.data.classes


@dataclass(frozen=True, slots=True)
class Model:
    """One trained network of the zoo: a training run's weights after `step` of its steps."""

    id: str
    training: TrainingRun
    step: int

    @property
    def epochs(self) -> float:
        """Passes over the model's own samples; 0 for a network that was not trained."""
        return self.step * self.training.batch / self.training.samples if self.step else 0.0

    def option(self, name: str) -> bool | int | float | str | None:
        """A setting of the architecture, such as "width"; None where the architecture has no such setting."""
        return dict(self.training.options).get(name)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stitcher is made: shared by the stitches of a section of a job."""

    stitcher: str
    options: Options
    protocol: str  # "strict", "paper"
    data: str  # the stitcher's own training images: "full" (the whole training split), "top" (B's own subset)
    seed: int
    steps: int  # the most steps it may train
    batch: int
    lr: float
    augment: str
    # Later fields, at the values that mean "as before" (ident.FIELDS_ADDED_LATER).
    stop: str = field(default="held_out", repr=False)  # what may end it early: "held_out" images, "none"
    sender: str = field(default="network", repr=False)  # "label": codes of the class, for A's tensors
    train: str = field(default="stitcher", repr=False)  # "top": the stitcher and a copy of B's layers after the cut
    source: str = field(default="", repr=False)  # of a user's own stitcher: which version of its code
    where: str = field(default="", repr=False, compare=False)  # and what imports it (cards/own.py); in no id


@dataclass(frozen=True, slots=True)
class Stitch:
    """One experiment: A's layers up to `cut_a`, a stitcher, B's layers after `cut_b`."""

    id: str
    a: Model
    cut_a: str
    b: Model
    cut_b: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Measure:
    """A similarity of two activations on the test images, without training."""

    id: str
    a: Model
    cut_a: str
    b: Model
    cut_b: str
    measure: str
    options: Options
    null: int = 0  # times that it is taken with B's images permuted; 0 stands in no id (ident.FIELDS_ADDED_LATER)


@dataclass(frozen=True, slots=True)
class TrainPack:
    """A training run and those of its models (snapshots) that are wanted, in order of step."""

    id: str
    training: TrainingRun
    models: tuple[Model, ...]
    seconds: float  # estimated
    weights: Mapping[str, str] = field(default_factory=dict)  # as a StitchPack's, of the model that it begins with

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(model.id for model in self.models)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.training.init.id,) if self.training.init else ()


@dataclass(frozen=True, slots=True)
class StitchPack:
    """Stitches and measures of one sender over one data stream: one forward pass of A feeds them all.

    `weights` (model id to digest) is filled in when the pack is handed out: it pins the weights of A and every B.
    """

    id: str
    a: Model
    stitches: tuple[Stitch, ...]
    measures: tuple[Measure, ...]
    seconds: float
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task.id for task in (*self.stitches, *self.measures))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Ids of the models that must exist, A first, each once."""
        return tuple(dict.fromkeys([self.a.id, *(task.b.id for task in (*self.stitches, *self.measures))]))


Pack = TrainPack | StitchPack
