"""Planted networks: copies of a trained network whose activation at one cut is changed in a known way.

A copy is the network with two maps put in at the cut: `Send` changes the activation, `Receive` undoes that before the
next layer, so that the whole computes what the network computes and only what is seen at the cut differs. Of A so
made and B the network itself everything is known: which stitchers can undo the change, which similarities can see it.
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
FREQUENCY = 50.0  # of the sine that makes noise: a direction's values, spread by 1, wrap around 16 times or so


class Send(nn.Module):
    """weight x + bias at each place, the places in another order, and channels of noise behind.

    The noise is a function of the image, as an activation is, but of no use: sines of random directions of the whole
    map, so fast that they are nearly uncorrelated with it and with each other. Their root mean square is `loudness`.
    """

    weight: Tensor  # (channels sent, channels)
    bias: Tensor  # (channels sent,)
    order: Tensor  # int64 (places,): the place that is shown at each
    directions: Tensor  # (noise, places, channels * places)
    loudness: Tensor  # ()

    def __init__(self, shape: Shape, sent: int, noise: int):
        super().__init__()
        channels, height, width = shape
        places = height * width
        self.register_buffer("weight", torch.eye(sent, channels))
        self.register_buffer("bias", torch.zeros(sent))
        self.register_buffer("order", torch.arange(places))
        self.register_buffer("directions", torch.zeros(noise, places, channels * places))
        self.register_buffer("loudness", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        seen = mix(x, self.weight, self.bias).flatten(2)[:, :, self.order].view(len(x), -1, *x.shape[2:])
        phases = torch.einsum("ncp,mqcp->nmq", x.flatten(2), self.directions.unflatten(2, (x.shape[1], -1)))
        noise = self.loudness * 2**0.5 * (FREQUENCY * phases).sin()
        return torch.cat([seen, noise.view(len(x), -1, *x.shape[2:])], 1)


class Receive(nn.Module):
    """Leaves the noise out, puts the places back, then weight x + bias."""

    weight: Tensor  # (channels, channels sent)
    bias: Tensor  # (channels,)
    order: Tensor  # int64 (places,): the inverse of what was sent

    def __init__(self, shape: Shape, sent: int):
        super().__init__()
        channels, height, width = shape
        self.register_buffer("weight", torch.eye(channels, sent))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("order", torch.arange(height * width))

    def forward(self, x: Tensor) -> Tensor:
        signal = x[:, : self.weight.shape[1]]
        back = signal.flatten(2)[:, :, self.order].view(len(x), -1, *x.shape[2:])
        return mix(back, self.weight, self.bias)


# --- the architecture -----------------------------------------------------------------------------------------------


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    found = card_of("myrtle", ARCH["myrtle"], shape, classes)
    channels = int(options["sent"]) + int(options["noise"])
    cuts = (replace(cut, shape=(channels, *cut.shape[1:])) if cut.name == CUT else cut for cut in found.cuts)
    return NetworkLayout(tuple(cuts), found.flops, found.parameters)


def planted(options: OptionValues, shape: Shape, classes: int) -> Staged:
    """Builds a Myrtle CNN with the two maps put in; they change nothing yet."""
    return _put_in(build("myrtle", ARCH["myrtle"], shape, classes), int(options["sent"]), int(options["noise"]))


def _put_in(network: nn.Module, sent: int, noise: int) -> Staged:
    held = stages(network)
    above = list(held)[list(held).index(CUT) + 1]
    held[CUT] = nn.Sequential(held[CUT], Send(SHAPE, sent, noise))
    held[above] = nn.Sequential(Receive(SHAPE, sent), held[above])
    return Staged(held)


CARD = ArchCard(
    name="planted",
    meaning=f"a Myrtle CNN that shows another activation at {CUT}",
    builder=f"{__name__}:planted",
    options={"sent": Option(int, None, "channels sent"), "noise": Option(int, 0, "channels of noise")},
    network=_network,
)


@contextmanager
def known() -> Iterator[None]:
    """The architecture of planted networks exists inside, and for no other test."""
    ARCHS[CARD.name] = CARD
    try:
        yield
    finally:
        del ARCHS[CARD.name]


_planted: dict[Model, str] = {}  # digests of their weights


# --- the copies -----------------------------------------------------------------------------------------------------


@cache
def activation(of: Model) -> Tensor:
    """A network's activation at the cut for the images that closed forms are solved on: all of the training split but
    its holdout. (images, channels, height, width)"""
    network, data = freeze(_trained(of)), of.training.data
    images = Images.from_dataset(load_data(data), torch.device("cpu"))
    with torch.no_grad():
        return activations(network, images.train_batch(torch.arange(data.train - data.holdout)), [CUT])[CUT]


def exact(of: Model) -> Model:
    """The network itself, in two parts."""
    return _plant(of, "exact", SHAPE[0], lambda send, receive: None)


def permuted(of: Model, seed: int = 0) -> Model:
    """Its channels in another order."""
    order = torch.randperm(SHAPE[0], generator=_generator(seed))
    return _mapped(of, f"permuted {seed}", torch.eye(len(order))[order])


def rotated(of: Model, seed: int = 0) -> Model:
    """Its channels turned by a random rotation, the same at each place."""
    return _mapped(of, f"rotated {seed}", random_rotation(SHAPE[0], seed))


def rescaled(of: Model, spread: float = 1.0, seed: int = 0) -> Model:
    """Each channel times a positive number of its own, log-normal with this spread: a norm would undo it."""
    return _scaled(of, f"rescaled {spread} {seed}", (spread * torch.randn(SHAPE[0], generator=_generator(seed))).exp())


def louder(of: Model, factor: float) -> Model:
    """The loudest channel, times a number."""
    scale = torch.ones(SHAPE[0])
    scale[activation(of).var((0, 2, 3)).argmax()] = factor
    return _scaled(of, f"louder {factor}", scale)


def padded(of: Model, loudness: float = 1.0, noise: int = 16, seed: int = 0) -> Model:
    """Channels of noise behind its own, whose root mean square is `loudness` times its own about the mean."""

    def change(send: Send, receive: Receive) -> None:
        x = activation(of)
        directions = torch.randn(send.directions.shape, generator=_generator(seed))
        spread = (x.flatten(1) @ directions.flatten(0, 1).T).std(0)
        send.directions.copy_(directions / spread.view(*directions.shape[:2], 1))
        send.loudness.copy_(loudness * x.std((0, 2, 3)).square().mean().sqrt())

    return _plant(of, f"padded {loudness} {noise} {seed}", SHAPE[0], change, noise)


def shuffled(of: Model, seed: int = 0) -> Model:
    """Its places in another order, the same for every image and channel."""

    def change(send: Send, receive: Receive) -> None:
        send.order.copy_(torch.randperm(len(send.order), generator=_generator(seed)))
        receive.order.copy_(send.order.argsort())

    return _plant(of, f"shuffled {seed}", SHAPE[0], change)


def truncated(of: Model, channels: int) -> Model:
    """Its most important channels; in place of the others the network gets their means. Important is a channel by
    what the next layer makes of it: the scale of its norm times the size of the weights that read it."""
    state = load(WEIGHTS[weights(of)])
    scale, readers = state["stages.conv3.0.weight"], state["stages.conv3.3.weight"]
    importance = scale.abs() * readers.square().sum((0, 2, 3)).sqrt()
    kept = importance.topk(channels).indices.sort().values
    return _projected(of, f"truncated {channels}", torch.eye(len(importance))[kept])


def principal(of: Model, axes: int) -> Model:
    """The leading principal axes of its channels; the rest of each activation is its mean."""
    return _projected(of, f"principal {axes}", principal_axes(of)[:axes])


def principal_axes(of: Model) -> Tensor:
    """Of the channels over images and places, the loudest first: (channels, channels), an axis a row."""
    rows = activation(of).movedim(1, -1).flatten(0, 2).double()
    return torch.linalg.eigh(torch.cov(rows.T)).eigenvectors.T.flip(0).float()


def random_rotation(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=_generator(seed))).Q


def _scaled(of: Model, name: str, scale: Tensor) -> Model:
    return _mapped(of, name, torch.diag(scale), torch.diag(1 / scale))


def _mapped(of: Model, name: str, matrix: Tensor, inverse: Tensor | None = None) -> Model:
    """A linear map of channels, and its inverse (by default its transpose: that of a rotation)."""

    def change(send: Send, receive: Receive) -> None:
        send.weight.copy_(matrix)
        receive.weight.copy_(matrix.T if inverse is None else inverse)

    return _plant(of, name, SHAPE[0], change)


def _projected(of: Model, name: str, axes: Tensor) -> Model:
    """Coordinates on orthonormal axes (kept, channels); what lies beside them is put back as its mean."""
    mean = activation(of).mean((0, 2, 3))

    def change(send: Send, receive: Receive) -> None:
        send.weight.copy_(axes)
        receive.weight.copy_(axes.T)
        receive.bias.copy_(mean - axes.T @ axes @ mean)

    return _plant(of, name, len(axes), change)


def _plant(of: Model, name: str, sent: int, change: Callable[[Send, Receive], None], noise: int = 0) -> Model:
    """The copy, its weights where packs find them."""
    options: Options = (("noise", noise), ("sent", sent))
    training = replace(of.training, id=f"{name} of {of.training.id}", arch=CARD.name, options=options)
    made = Model(f"m-{training.id}", training, of.step)
    if made not in _planted:
        network = _put_in(_trained(of), sent, noise)
        (send,) = (module for module in network.modules() if isinstance(module, Send))
        (receive,) = (module for module in network.modules() if isinstance(module, Receive))
        change(send, receive)
        _planted[made] = put(to_bytes(network))
    return made


def _trained(of: Model) -> nn.Module:
    """A network as its training left it."""
    training = of.training
    network = build(training.arch, training.options, training.data.shape, training.classes)
    network.load_state_dict(from_bytes(WEIGHTS[weights(of)]))
    return network


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- packs ----------------------------------------------------------------------------------------------------------


def receipts(*tasks: Stitch | Measurement) -> dict[str, Row]:
    """The receipt of each task (or its failure), by id: tasks of one sender, planted or not, in one pack."""
    models = {tasks[0].a, *(task.b for task in tasks)}
    pinned = {model.id: _planted.get(model) or weights(model) for model in models}
    stitches = tuple(task for task in tasks if isinstance(task, Stitch))
    measures = tuple(task for task in tasks if isinstance(task, Measurement))
    with known():
        outcomes = perform(StitchPack("pack", tasks[0].a, stitches, measures, 1.0, pinned), WEIGHTS.__getitem__)
        return {outcome.rows[-1].task: outcome.rows[-1] for outcome in outcomes}


def measure(a: Model, b: Model, name: str, **options: bool | float | str) -> Measurement:
    """A measure at the cut with its card's defaults, but for the options given."""
    card = MEASURES[name]
    defaults = {option: of.default for option, of in card.options.items() if of.default is not None}
    chosen = defaults | options
    cut = OUTPUT if card.compares == "outputs" else CUT
    return Measurement(f"{name} {a.id} {b.id} {options}", a, cut, b, cut, name, tuple(sorted(chosen.items())))
