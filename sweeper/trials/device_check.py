"""Does a device compute what the CPU does, and twice the same? Small packs on digits, without Ray and without a store:

    python -m sweeper.trials.device_check [--device cuda] [--compile]

Prints a line for each comparison and exits with 1 where one is off. With `--compile` the first steps of a training run
are compared compiled, too.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from sweeper.spec.cards.archs import network
from sweeper.spec.cards.card import OUTPUT, Option
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.protocols import PROTOCOLS
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import CurveRow, FailureRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import (
    Data,
    Measure,
    Model,
    Options,
    Pack,
    Recipe,
    Stitch,
    StitchPack,
    TrainingRun,
    TrainPack,
)
from sweeper.trials.data.load import load
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.networks.state_dicts import from_bytes
from sweeper.trials.perform import perform

ARCH, OPTIONS = "resnet18k", (("width", 8),)
CUT = "block4"
TRAINED, STEPS = 20, 10  # of a model, of a stitch
SHARE = 1e-3  # of an activation's largest entry, and of a loss, that the CPU's may differ by
POINTS = 0.5  # of test error
VALUE = 1e-3  # of a measure
SIZES = {"rank": 4, "anchors": 100}  # of options without a default


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a device is from the CPU, or from itself, and how far it may be."""

    what: str
    found: float
    most: float

    @property
    def fine(self) -> bool:
        return self.found <= self.most


def check(device: torch.device | str, compile: bool = False) -> Iterator[Difference]:
    """Compares a device with the CPU: activations, the losses of a training run's first steps, stitchers under both
    protocols, every measure; then the same pack again with itself. Raises RuntimeError where a task fails."""
    blobs: dict[str, bytes] = {}
    a, b = (_trained(seed, blobs) for seed in (1, 2))
    yield from _activations(a, blobs, torch.device(device))
    short = dataclasses.replace(a.training, steps=4)
    steps = TrainPack("check", short, (Model("short", short, 4),), 1.0)
    on_cpu = _losses(steps, "cpu")
    for compiled in (False, True) if compile else (False,):
        off = max(abs(one - other) / one for one, other in zip(on_cpu, _losses(steps, device, compiled), strict=True))
        yield Difference(f"losses of 4 {'compiled ' * compiled}training steps, relative", off, SHARE)
    for protocol in ("strict", "paper"):
        pack = _pack(a, b, protocol, blobs)
        on_cpu, there, again = ([_receipt(rows) for rows in _rows(pack, blobs, on)] for on in ("cpu", device, device))
        for one, other in zip(on_cpu, there, strict=True):
            yield _difference(one, other)
        unlike = sum(_numbers(one) != _numbers(other) for one, other in zip(there, again, strict=True))
        yield Difference(f"{protocol}: tasks whose second run differs from the first in any bit", unlike, 0)


def _trained(seed: int, blobs: dict[str, bytes]) -> Model:
    """A model after a few steps on the CPU; its weights go to `blobs` by digest, under its id too."""
    card = DATASETS["digits"]
    assert card.digest
    data = Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)
    training = TrainingRun(
        id=f"check-{seed}",
        data=data,
        arch=ARCH,
        options=OPTIONS,
        seed=seed,
        steps=TRAINED,
        samples=1200,
        nested=False,
        label_noise=0.0,
        batch=64,
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        augment="crop_flip",
    )
    model = Model(training.id, training, TRAINED)
    (outcome,) = perform(TrainPack("check", training, (model,), 1.0), blobs.__getitem__, "cpu")
    assert outcome.weights is not None, outcome.rows[-1]
    blobs[digest(outcome.weights)] = blobs[model.id] = outcome.weights
    return model


def _activations(model: Model, blobs: dict[str, bytes], device: torch.device) -> Iterator[Difference]:
    """At every cut, of the first test images."""
    training = model.training
    cuts = [cut.name for cut in network(ARCH, OPTIONS, training.data.shape, training.data.classes).cuts]
    found = []
    for where in (torch.device("cpu"), device):
        whole = build(ARCH, OPTIONS, training.data.shape, training.data.classes)
        whole.load_state_dict(from_bytes(blobs[model.id]))
        images = Images.from_dataset(load(training.data), where)
        batch, _ = next(images.test_batches())
        found.append(activations(Network(whole.to(where), "", images).folded, batch, cuts))
    for cut in cuts:
        one, other = (tensors[cut].cpu() for tensors in found)
        off = float((one - other).abs().max() / one.abs().max())
        yield Difference(f"activation at {cut}, relative to its largest entry", off, SHARE)


def _losses(pack: TrainPack, device: torch.device | str, compile: bool = False) -> list[float]:
    (rows,) = _rows(pack, {}, device, compile)
    if isinstance(failed := rows[-1], FailureRow):
        raise RuntimeError(f"on {failed.device}: {failed.traceback or failed.message}")
    return [row.loss for row in rows if isinstance(row, CurveRow)]


def _pack(a: Model, b: Model, protocol: str, blobs: dict[str, bytes]) -> StitchPack:
    """Every stitcher that fits, and beside the strict ones every measure."""
    shape, stitches = cut_of(a, CUT).shape, []
    for card in STITCHERS.values():
        if card.misfit(shape, shape, dict(_settings(card.options))):
            continue
        steps = STEPS if card.trains else 0
        recipe = Recipe(
            card.name, _settings(card.options), protocol, "full", 0, steps, 64, PROTOCOLS[protocol].lr, "none"
        )
        stitches.append(Stitch(digest(card.name.encode())[:32], a, CUT, b, CUT, recipe))
    measures = []
    for card in MEASURES.values() if protocol == "strict" else ():
        cut = OUTPUT if card.compares == "outputs" else CUT
        measures.append(Measure(card.name, a, cut, b, cut, card.name, _settings(card.options), 1))
    pinned = {model.id: digest(blobs[model.id]) for model in (a, b)}
    return StitchPack("check", a, tuple(stitches), tuple(measures), 1.0, pinned)


def _settings(options: Mapping[str, Option]) -> Options:
    values = {name: SIZES.get(name, option.default) for name, option in sorted(options.items())}
    return tuple((name, value) for name, value in values.items() if value is not None)


def _rows(
    pack: Pack, blobs: dict[str, bytes], device: torch.device | str, compile: bool = False
) -> list[Sequence[Row]]:
    """The rows of each task, in the order of the pack."""
    performed = perform(pack, blobs.__getitem__, device, compile=compile)
    found = {outcome.rows[-1].task: outcome.rows for outcome in performed}
    return [found[task] for task in pack.tasks]


def _receipt(rows: Sequence[Row]) -> StitchRow | SimilarityRow:
    row = rows[-1]
    if isinstance(row, FailureRow):
        raise RuntimeError(f"on {row.device}: {row.traceback or row.message}")
    assert isinstance(row, StitchRow | SimilarityRow)
    return row


def _difference(one: StitchRow | SimilarityRow, other: StitchRow | SimilarityRow) -> Difference:
    if isinstance(one, StitchRow) and isinstance(other, StitchRow):
        what = f"{one.protocol}, {one.stitcher}: test error in points"
        return Difference(what, abs(one.test_error - other.test_error), POINTS)
    assert isinstance(one, SimilarityRow)
    assert isinstance(other, SimilarityRow)
    return Difference(f"{one.measure}", abs(one.value - other.value), VALUE)


def _numbers(row: StitchRow | SimilarityRow) -> tuple[object, ...]:
    """What a row found, to the bit."""
    if isinstance(row, StitchRow):
        return row.test_loss, row.train_loss, row.direct_loss, row.drift, row.a_loss, row.b_loss, row.correct
    return row.value, row.null_mean


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="as torch names it")
    parser.add_argument("--compile", action="store_true", help="compare compiled training steps, too")
    given = parser.parse_args()
    off = 0
    for difference in check(given.device, given.compile):
        off += not difference.fine
        print(f"{'ok ' if difference.fine else 'OFF'} {difference.found:.2e} <= {difference.most:g}  {difference.what}")
    print(f"{given.device}: {off} comparisons are off" if off else f"{given.device}: as the CPU", file=sys.stderr)
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
