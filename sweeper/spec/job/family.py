"""A family of models, as a job describes it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweeper.spec.content.weights import NONE
from sweeper.spec.job.section import (
    Axis,
    Channels,
    Deviation,
    Deviations,
    Flag,
    FreezeAxis,
    LabelsAxis,
    Number,
    Scalar,
    Section,
    Seed,
    Sides,
    Whole,
    Zip,
    collect_options,
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
        return collect_options(settings, cls.model_fields)

    @property
    def axes(self) -> Mapping[str, Sequence[Any]]:
        """The axes of the grid by name, including the settings of the architecture."""
        declared = {name: getattr(self, name) for name in Family.model_fields if name not in ("options", "zip")}
        return {name: values for name, values in {**self.options, **declared}.items() if values is not None}


def redrawn_layers(head: str, reset: str) -> str:
    """Return the layers of the initial weights that are drawn again, as in `TrainingRun.reset`; a probe's last is."""
    return "head" if (head, reset) == ("probe", "none") else reset
