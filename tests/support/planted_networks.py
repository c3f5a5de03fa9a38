"""Planted networks: copies of a trained network whose activation at one cut is changed in a known way.

A copy is the network with two maps inserted at the cut: `ChangeActivation` changes the activation, and `UndoChange`
undoes the change before the next layer. The copy computes the same function; only its activation at the cut differs.
With the copy as A and the network itself as B, it is known which stitchers can undo the change, and which measures it
moves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import torch
from safetensors.torch import load
from torch import Tensor, nn

from support.packs import ARCH, WEIGHTS, put, weights
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.archs import network as card_of
from sweeper.spec.cards.card import OUTPUT, ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.rows import Row
from sweeper.spec.records.task import Measurement, Model, Options, Stitch, StitchPack
from sweeper.trials.data.load import load_dataset as load_data
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.archs.staged import Staged, stages
from sweeper.trials.networks.fold import freeze
from sweeper.trials.networks.network import Images
from sweeper.trials.networks.state_dicts import from_bytes, to_bytes
from sweeper.trials.perform import perform
from sweeper.trials.stitching.least_squares import mix

CUT, SHAPE = "conv2", (16, 8, 8)  # of digits at width 8; a norm, a ReLU and a pooling read it
FREQUENCY = 50.0  # of the sine that makes noise: values with standard deviation 1 span about 16 periods


class ChangeActivation(nn.Module):
    """An affine map of channels at each place, with the places in another order and channels of noise appended.

    The noise is a function of the image: sines of random directions of the whole map, with a frequency so high that
    they are nearly uncorrelated with the map and with each other. Their root mean square is `amplitude`.
    """

    weight: Tensor  # (shown channels, channels)
    bias: Tensor  # (shown channels,)
    order: Tensor  # int64 (places,): the source of each place
    directions: Tensor  # (noise, places, channels * places)
    amplitude: Tensor  # ()

    def __init__(self, shape: Shape, shown: int, noise: int):
        super().__init__()
        channels, height, width = shape
        places = height * width
        self.register_buffer("weight", torch.eye(shown, channels))
        self.register_buffer("bias", torch.zeros(shown))
        self.register_buffer("order", torch.arange(places))
        self.register_buffer("directions", torch.zeros(noise, places, channels * places))
        self.register_buffer("amplitude", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, channels, height, width) to (images, shown channels + noise, height, width)."""
        signal = mix(x, self.weight, self.bias).flatten(2)[:, :, self.order].view(len(x), -1, *x.shape[2:])
        phases = torch.einsum("ncp,mqcp->nmq", x.flatten(2), self.directions.unflatten(2, (x.shape[1], -1)))
        noise = self.amplitude * 2**0.5 * (FREQUENCY * phases).sin()
        return torch.cat([signal, noise.view(len(x), -1, *x.shape[2:])], 1)


class UndoChange(nn.Module):
    """The inverse of `ChangeActivation`: no noise, the places in their own order, then an affine map of channels."""

    weight: Tensor  # (channels, shown channels)
    bias: Tensor  # (channels,)
    order: Tensor  # int64 (places,): the inverse of the order in `ChangeActivation`

    def __init__(self, shape: Shape, shown: int):
        super().__init__()
        channels, height, width = shape
        self.register_buffer("weight", torch.eye(channels, shown))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("order", torch.arange(height * width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, shown channels + noise, height, width) to (images, channels, height, width)."""
        signal = x[:, : self.weight.shape[1]]
        in_order = signal.flatten(2)[:, :, self.order].view(len(x), -1, *x.shape[2:])
        return mix(in_order, self.weight, self.bias)


# --- the architecture -----------------------------------------------------------------------------------------------


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    layout = card_of("myrtle", ARCH["myrtle"], shape, classes)
    channels = int(options["shown"]) + int(options["noise"])
    cuts = (replace(cut, shape=(channels, *cut.shape[1:])) if cut.name == CUT else cut for cut in layout.cuts)
    return NetworkLayout(tuple(cuts), layout.flops, layout.parameters)


def planted(options: OptionValues, shape: Shape, classes: int) -> Staged:
    """Build a Myrtle CNN with the two maps inserted; they are identities until their weights are set."""
    return _insert_maps(build("myrtle", ARCH["myrtle"], shape, classes), int(options["shown"]), int(options["noise"]))


def _insert_maps(network: nn.Module, shown: int, noise: int) -> Staged:
    stage_by_name = stages(network)
    next_stage = list(stage_by_name)[list(stage_by_name).index(CUT) + 1]
    stage_by_name[CUT] = nn.Sequential(stage_by_name[CUT], ChangeActivation(SHAPE, shown, noise))
    stage_by_name[next_stage] = nn.Sequential(UndoChange(SHAPE, shown), stage_by_name[next_stage])
    return Staged(stage_by_name)


CARD = ArchCard(
    name="planted",
    meaning=f"a Myrtle CNN with a changed activation at {CUT}",
    builder=f"{__name__}:planted",
    options={"shown": Option(int, None, "channels without the noise"), "noise": Option(int, 0, "channels of noise")},
    network=_network,
)


@contextmanager
def planted_architecture() -> Iterator[None]:
    """Register the architecture of planted networks inside the `with` block only."""
    ARCHS[CARD.name] = CARD
    try:
        yield
    finally:
        del ARCHS[CARD.name]


_planted: dict[Model, str] = {}  # the digest of the weights of each copy


# --- the copies -----------------------------------------------------------------------------------------------------


@cache
def activation(base: Model) -> Tensor:
    """Return a network's activation at the cut, (images, channels, height, width), for the images of closed forms.

    These are the training split without its holdout.
    """
    network, data = freeze(_trained(base)), base.training.data
    images = Images.from_dataset(load_data(data), torch.device("cpu"))
    with torch.no_grad():
        return activations(network, images.train_batch(torch.arange(data.train - data.holdout)), [CUT])[CUT]


def exact(base: Model) -> Model:
    """Return a copy whose two maps change nothing."""
    return _plant(base, "exact", SHAPE[0], lambda change, undo: None)


def permuted(base: Model, seed: int = 0) -> Model:
    """Return a copy with the channels in another order."""
    order = torch.randperm(SHAPE[0], generator=_generator(seed))
    return _mapped(base, f"permuted {seed}", torch.eye(len(order))[order])


def rotated(base: Model, seed: int = 0) -> Model:
    """Return a copy with the channels rotated at random, the same at each place."""
    return _mapped(base, f"rotated {seed}", random_rotation(SHAPE[0], seed))


def rescaled(base: Model, spread: float = 1.0, seed: int = 0) -> Model:
    """Return a copy with each channel scaled by its own positive number, log-normal; a norm would undo it."""
    scale = (spread * torch.randn(SHAPE[0], generator=_generator(seed))).exp()
    return _scaled(base, f"rescaled {spread} {seed}", scale)


def amplified(base: Model, factor: float) -> Model:
    """Return a copy with the channel of the largest variance scaled by `factor`."""
    scale = torch.ones(SHAPE[0])
    scale[activation(base).var((0, 2, 3)).argmax()] = factor
    return _scaled(base, f"louder {factor}", scale)


def padded(base: Model, amplitude: float = 1.0, noise: int = 16, seed: int = 0) -> Model:
    """Return a copy with `noise` channels of noise appended, of `amplitude` times the channels' standard deviation."""

    def set_maps(change: ChangeActivation, undo: UndoChange) -> None:
        x = activation(base)
        directions = torch.randn(change.directions.shape, generator=_generator(seed))
        spread = (x.flatten(1) @ directions.flatten(0, 1).T).std(0)
        change.directions.copy_(directions / spread.view(*directions.shape[:2], 1))
        change.amplitude.copy_(amplitude * x.std((0, 2, 3)).square().mean().sqrt())

    return _plant(base, f"padded {amplitude} {noise} {seed}", SHAPE[0], set_maps, noise)


def shuffled(base: Model, seed: int = 0) -> Model:
    """Return a copy with the places in another order, the same for every image and channel."""

    def set_maps(change: ChangeActivation, undo: UndoChange) -> None:
        change.order.copy_(torch.randperm(len(change.order), generator=_generator(seed)))
        undo.order.copy_(change.order.argsort())

    return _plant(base, f"shuffled {seed}", SHAPE[0], set_maps)


def truncated(base: Model, channels: int) -> Model:
    """Return a copy with only the most important channels; the next layer gets the means of the others.

    The importance of a channel is the scale of the norm that reads it times the norm of the weights that read it.
    """
    state = load(WEIGHTS[weights(base)])
    scale, readers = state["stages.conv3.0.weight"], state["stages.conv3.3.weight"]
    importance = scale.abs() * readers.square().sum((0, 2, 3)).sqrt()
    indices = importance.topk(channels).indices.sort().values
    return _projected(base, f"truncated {channels}", torch.eye(len(importance))[indices])


def principal(base: Model, axes: int) -> Model:
    """Return a copy with only the leading principal axes of its channels; the other coordinates have their mean."""
    return _projected(base, f"principal {axes}", principal_axes(base)[:axes])


def principal_axes(base: Model) -> Tensor:
    """Return the principal axes of the channels over images and places, by falling variance: (axes, channels)."""
    rows = activation(base).movedim(1, -1).flatten(0, 2).double()
    return torch.linalg.eigh(torch.cov(rows.T)).eigenvectors.T.flip(0).float()


def random_rotation(size: int, seed: int) -> Tensor:
    """Return a random orthogonal matrix (size, size)."""
    return torch.linalg.qr(torch.randn(size, size, generator=_generator(seed))).Q


def _scaled(base: Model, name: str, scale: Tensor) -> Model:
    return _mapped(base, name, torch.diag(scale), torch.diag(1 / scale))


def _mapped(base: Model, name: str, matrix: Tensor, inverse: Tensor | None = None) -> Model:
    """Return a copy with a linear map of channels and its inverse (by default the transpose, as of a rotation)."""

    def set_maps(change: ChangeActivation, undo: UndoChange) -> None:
        change.weight.copy_(matrix)
        undo.weight.copy_(matrix.T if inverse is None else inverse)

    return _plant(base, name, SHAPE[0], set_maps)


def _projected(base: Model, name: str, axes: Tensor) -> Model:
    """Return a copy with only the coordinates on orthonormal axes (axes, channels); the others have their mean."""
    mean = activation(base).mean((0, 2, 3))

    def set_maps(change: ChangeActivation, undo: UndoChange) -> None:
        change.weight.copy_(axes)
        undo.weight.copy_(axes.T)
        undo.bias.copy_(mean - axes.T @ axes @ mean)

    return _plant(base, name, len(axes), set_maps)


SetMaps = Callable[[ChangeActivation, UndoChange], None]


def _plant(base: Model, name: str, shown: int, set_maps: SetMaps, noise: int = 0) -> Model:
    """Return a copy named `name`; its weights are stored in `WEIGHTS`.

    Args:
        base: The trained network.
        name: The first part of the copy's id.
        shown: The number of channels at the cut, without the noise.
        set_maps: Sets the weights of the two maps.
        noise: The number of channels of noise.
    """
    options: Options = (("noise", noise), ("shown", shown))
    training = replace(base.training, id=f"{name} of {base.training.id}", arch=CARD.name, options=options)
    copy = Model(f"m-{training.id}", training, base.step)
    if copy not in _planted:
        network = _insert_maps(_trained(base), shown, noise)
        (change,) = (module for module in network.modules() if isinstance(module, ChangeActivation))
        (undo,) = (module for module in network.modules() if isinstance(module, UndoChange))
        set_maps(change, undo)
        _planted[copy] = put(to_bytes(network))
    return copy


def _trained(base: Model) -> nn.Module:
    """Return the trained network."""
    training = base.training
    network = build(training.arch, training.options, training.data.shape, training.classes)
    network.load_state_dict(from_bytes(WEIGHTS[weights(base)]))
    return network


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- packs ----------------------------------------------------------------------------------------------------------


def receipts(*tasks: Stitch | Measurement) -> dict[str, Row]:
    """Perform tasks of one bottom model in one pack and return the result or failure row of each, by task id."""
    models = {tasks[0].a, *(task.b for task in tasks)}
    weights_by_model = {model.id: _planted.get(model) or weights(model) for model in models}
    stitches = tuple(task for task in tasks if isinstance(task, Stitch))
    measures = tuple(task for task in tasks if isinstance(task, Measurement))
    with planted_architecture():
        pack = StitchPack("pack", tasks[0].a, stitches, measures, 1.0, weights_by_model)
        outcomes = perform(pack, WEIGHTS.__getitem__)
        return {outcome.rows[-1].task: outcome.rows[-1] for outcome in outcomes}


def measure(a: Model, b: Model, name: str, **options: bool | float | str) -> Measurement:
    """Return a measurement at the cut (or the output) with the card's default options where none is given."""
    card = MEASURES[name]
    defaults = {name: option.default for name, option in card.options.items() if option.default is not None}
    values = defaults | options
    cut = OUTPUT if card.compares == "outputs" else CUT
    return Measurement(f"{name} {a.id} {b.id} {options}", a, cut, b, cut, name, tuple(sorted(values.items())))
