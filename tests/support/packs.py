"""Packs on digits for tests of the stitch kernel, with small networks that are trained once a test session."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

from support.training_runs import DIGITS
from sweeper.spec.cards.protocols import STRICT
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import Row
from sweeper.spec.records.task import (
    Groups,
    Measurement,
    Model,
    Options,
    Recipe,
    Stitch,
    StitchPack,
    TrainingRun,
    TrainPack,
)
from sweeper.trials.networks import network_cards
from sweeper.trials.perform import perform

ARCH: dict[str, Options] = {
    "resnet18k": (("width", 8),),
    "myrtle": (("width", 8),),
    "preact_resnet_cifar": (("blocks", 1), ("width", 8)),
    "resnet_cifar": (("blocks", 1), ("width", 8)),
    "vit": (("depth", 2), ("dim", 32), ("heads", 2), ("mlp_ratio", 2), ("patch", 2)),
    "mlp": (("depth", 2), ("width", 32)),
}
WEIGHTS: dict[str, bytes] = {}  # by digest


def model(seed: int = 0, samples: int = 1200, steps: int = 60, arch: str = "resnet18k", labels: Groups = ()) -> Model:
    """Return a small network trained on digits for `steps` steps; with 0 steps it has random weights."""
    training = TrainingRun(
        id=f"{arch}-{seed}-{samples}-{steps}" + (f"-{labels}" if labels else ""),
        data=DIGITS,
        arch=arch,
        options=ARCH[arch],
        seed=seed,
        steps=steps,
        samples=samples if steps else 0,
        nested=False,
        label_noise=0.0,
        batch=64,
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        augment="none",
        labels=labels,
    )
    return Model(f"m-{training.id}", training, steps)


@cache
def weights(model: Model) -> str:
    """Return the digest of a model's weights; the model is trained at the first call."""
    (outcome,) = perform(TrainPack("train", model.training, (model,), 1.0), WEIGHTS.__getitem__)
    assert outcome.weights is not None, outcome.rows[-1]
    return put(outcome.weights)


def put(content: bytes) -> str:
    """Add weights to `WEIGHTS` and return their digest."""
    WEIGHTS[digest(content)] = content
    return digest(content)


def cuts(arch: str = "resnet18k") -> list[str]:
    """Return the names of an architecture's cuts, in order of depth."""
    return [cut.name for cut in network_cards.catalog().network(arch, ARCH[arch], DIGITS.shape, DIGITS.classes).cuts]


def stitch(
    a: Model,
    b: Model,
    cut: str,
    cut_b: str = "",
    stitcher: str = "conv1x1",
    protocol: str = "strict",
    data: str = "full",
    seed: int = 0,
    steps: int = 10,
    batch: int = 64,
    lr: float | None = None,
    augment: str = "none",
    options: Options = (),
    stop: str = "held_out",
    sender: str = "network",
    train: str = "stitcher",
) -> Stitch:
    """Return a stitch with a small recipe; a stitcher that trains nothing gets 0 steps.

    The default learning rate is that of `strict`, or 0.01 for `paper` and for tops that train. The id is a digest of
    the arguments, without `train` if only the stitcher trains.
    """
    steps = steps if STITCHERS[stitcher].trains or train == "top" else 0
    if lr is None:
        lr = STRICT.lr if protocol == "strict" and train == "stitcher" else 0.01
    recipe = Recipe(stitcher, options, protocol, data, seed, steps, batch, lr, augment, stop, sender, train)
    late_fields = (stop, sender) if train == "stitcher" else (stop, sender, train)
    name = hashlib.sha256(repr((a.id, cut, b.id, cut_b, recipe, *late_fields)).encode()).hexdigest()[:32]
    return Stitch(name, a, cut, b, cut_b or cut, recipe)


def pack(stitches: Iterable[Stitch] = (), measurements: Iterable[Measurement] = ()) -> StitchPack:
    """Return a pack of stitches and measurements of one bottom model, with the digests of their models' weights."""
    stitches, measurements = tuple(stitches), tuple(measurements)
    tasks = (*stitches, *measurements)
    models = {tasks[0].a, *(task.b for task in tasks)}
    return StitchPack("pack", tasks[0].a, stitches, measurements, 1.0, {model.id: weights(model) for model in models})


def rows(pack: StitchPack) -> dict[str, Sequence[Row]]:
    """Perform a pack and return the rows of each task, the receipt last, by task id."""
    return {outcome.rows[-1].task: outcome.rows for outcome in perform(pack, WEIGHTS.__getitem__)}
