"""A check that a device gives the results of the CPU, and the same bits in a second run.

It computes small packs on the digits data set, without Ray and without a store:

    python -m sweeper.trials.device_check [--device cuda] [--compile]

It prints a line for each comparison, and exits with status 1 if one is outside its tolerance. With `--compile` it also
compares the first steps of a compiled training run.
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
    Measurement,
    Model,
    Options,
    Pack,
    Recipe,
    Stitch,
    StitchPack,
    TrainingRun,
    TrainPack,
)
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.networks.state_dicts import from_bytes
from sweeper.trials.perform import perform

ARCH, OPTIONS = "resnet18k", (("width", 8),)
CUT = "block4"
TRAINING_STEPS, STITCH_STEPS = 20, 10
RELATIVE_TOLERANCE = 1e-3  # of losses, and of activations relative to their largest entry
ERROR_TOLERANCE = 0.5  # of test errors, in percentage points
MEASURE_TOLERANCE = 1e-3  # of the values of measures
REQUIRED_OPTIONS = {"rank": 4, "anchors": 100}  # values of options without a default


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two computations, with the tolerance."""

    quantity: str
    value: float
    tolerance: float

    @property
    def within_tolerance(self) -> bool:
        """True if the difference is at most the tolerance; False for NaN."""
        return self.value <= self.tolerance


def compare_device(device: torch.device | str, compile: bool = False) -> Iterator[Difference]:
    """Compare a device with the CPU, and a second run on the device with the first.

    The comparison covers activations, the losses of a training run's first steps, all stitchers under both protocols
    and all measures.

    Args:
        device: The device to check.
        compile: If true, compare compiled training steps, too.

    Yields:
        Each difference, as soon as it is computed.

    Raises:
        RuntimeError: If a task fails.
    """
    blobs: dict[str, bytes] = {}
    a, b = (_train(seed, blobs) for seed in (1, 2))
    yield from _activations(a, blobs, torch.device(device))
    training = dataclasses.replace(a.training, steps=4)
    train_pack = TrainPack("check", training, (Model("short", training, 4),), 1.0)
    cpu_losses = _losses(train_pack, "cpu")
    for compiled in (False, True) if compile else (False,):
        device_losses = _losses(train_pack, device, compiled)
        difference = max(abs(cpu - other) / cpu for cpu, other in zip(cpu_losses, device_losses, strict=True))
        steps = "compiled training steps" if compiled else "training steps"
        yield Difference(f"losses of 4 {steps}, relative difference to the CPU", difference, RELATIVE_TOLERANCE)
    for protocol in ("strict", "paper"):
        pack = _pack(a, b, protocol, blobs)
        cpu_rows, first_run, second_run = (
            [_result_row(rows) for rows in _rows(pack, blobs, run_device)] for run_device in ("cpu", device, device)
        )
        for cpu_row, device_row in zip(cpu_rows, first_run, strict=True):
            yield _difference(cpu_row, device_row)
        unequal = sum(_numbers(first) != _numbers(second) for first, second in zip(first_run, second_run, strict=True))
        yield Difference(f"protocol {protocol}: number of tasks whose second run gives other bits", unequal, 0)


def _train(seed: int, blobs: dict[str, bytes]) -> Model:
    """Train a model for a few steps on the CPU, and store its weights in `blobs`, under their digest and its id."""
    card = DATASETS["digits"]
    assert card.digest
    data = Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)
    training = TrainingRun(
        id=f"check-{seed}",
        data=data,
        arch=ARCH,
        options=OPTIONS,
        seed=seed,
        steps=TRAINING_STEPS,
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
    model = Model(training.id, training, TRAINING_STEPS)
    (outcome,) = perform(TrainPack("check", training, (model,), 1.0), blobs.__getitem__, "cpu")
    assert outcome.weights is not None, outcome.rows[-1]
    blobs[digest(outcome.weights)] = blobs[model.id] = outcome.weights
    return model


def _activations(model: Model, blobs: dict[str, bytes], device: torch.device) -> Iterator[Difference]:
    """Yield the difference of the activations of the first test images at each cut."""
    training = model.training
    cuts = [cut.name for cut in network(ARCH, OPTIONS, training.data.shape, training.data.classes).cuts]
    activations_by_cut = []
    for run_device in (torch.device("cpu"), device):
        module = build(ARCH, OPTIONS, training.data.shape, training.data.classes)
        module.load_state_dict(from_bytes(blobs[model.id]))
        images = Images.from_dataset(load_dataset(training.data), run_device)
        batch, _ = next(images.test_batches())
        activations_by_cut.append(activations(Network(module.to(run_device), "", images).folded, batch, cuts))
    for cut in cuts:
        on_cpu, on_device = (tensors[cut].cpu() for tensors in activations_by_cut)
        difference = float((on_cpu - on_device).abs().max() / on_cpu.abs().max())
        quantity = f"activation at {cut}, difference to the CPU relative to the largest entry"
        yield Difference(quantity, difference, RELATIVE_TOLERANCE)


def _losses(pack: TrainPack, device: torch.device | str, compile: bool = False) -> list[float]:
    (rows,) = _rows(pack, {}, device, compile)
    if isinstance(failure := rows[-1], FailureRow):
        raise RuntimeError(f"a task failed on {failure.device}: {failure.traceback or failure.message}")
    return [row.loss for row in rows if isinstance(row, CurveRow)]


def _pack(a: Model, b: Model, protocol: str, blobs: dict[str, bytes]) -> StitchPack:
    """Return a pack of every stitcher that suits the shapes and, with the strict protocol, of every measure."""
    shape, stitches = cut_of(a, CUT).shape, []
    for card in STITCHERS.values():
        if card.misfit(shape, shape, dict(_settings(card.options))):
            continue
        steps = STITCH_STEPS if card.trains else 0
        recipe = Recipe(
            card.name, _settings(card.options), protocol, "full", 0, steps, 64, PROTOCOLS[protocol].lr, "none"
        )
        stitches.append(Stitch(digest(card.name.encode())[:32], a, CUT, b, CUT, recipe))
    measures = []
    for card in MEASURES.values() if protocol == "strict" else ():
        cut = OUTPUT if card.compares == "outputs" else CUT
        measures.append(Measurement(card.name, a, cut, b, cut, card.name, _settings(card.options), 1))
    digest_by_model = {model.id: digest(blobs[model.id]) for model in (a, b)}
    return StitchPack("check", a, tuple(stitches), tuple(measures), 1.0, digest_by_model)


def _settings(options: Mapping[str, Option]) -> Options:
    values = {name: REQUIRED_OPTIONS.get(name, option.default) for name, option in sorted(options.items())}
    return tuple((name, value) for name, value in values.items() if value is not None)


def _rows(
    pack: Pack, blobs: dict[str, bytes], device: torch.device | str, compile: bool = False
) -> list[Sequence[Row]]:
    """Compute a pack, and return the rows of each task, in the order of the pack."""
    outcomes = perform(pack, blobs.__getitem__, device, compile=compile)
    rows_by_task = {outcome.rows[-1].task: outcome.rows for outcome in outcomes}
    return [rows_by_task[task] for task in pack.tasks]


def _result_row(rows: Sequence[Row]) -> StitchRow | SimilarityRow:
    row = rows[-1]
    if isinstance(row, FailureRow):
        raise RuntimeError(f"a task failed on {row.device}: {row.traceback or row.message}")
    assert isinstance(row, StitchRow | SimilarityRow)
    return row


def _difference(cpu: StitchRow | SimilarityRow, device: StitchRow | SimilarityRow) -> Difference:
    if isinstance(cpu, StitchRow) and isinstance(device, StitchRow):
        quantity = f"protocol {cpu.protocol}, stitcher {cpu.stitcher}: test error, difference to the CPU in points"
        return Difference(quantity, abs(cpu.test_error - device.test_error), ERROR_TOLERANCE)
    assert isinstance(cpu, SimilarityRow)
    assert isinstance(device, SimilarityRow)
    quantity = f"measure {cpu.measure}: value, difference to the CPU"
    return Difference(quantity, abs(cpu.value - device.value), MEASURE_TOLERANCE)


def _numbers(row: StitchRow | SimilarityRow) -> tuple[object, ...]:
    """Return the numbers of a row that must be equal, bit for bit, in two runs."""
    if isinstance(row, StitchRow):
        return row.test_loss, row.train_loss, row.direct_loss, row.drift, row.a_loss, row.b_loss, row.correct
    return row.value, row.null_mean


def main() -> int:
    """Run the check from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="the device to check, by torch's name"
    )
    parser.add_argument("--compile", action="store_true", help="compare compiled training steps, too")
    arguments = parser.parse_args()
    failures = 0
    for difference in compare_device(arguments.device, arguments.compile):
        failures += not difference.within_tolerance
        verdict = "ok  " if difference.within_tolerance else "FAIL"
        print(f"{verdict} {difference.value:.2e} (at most {difference.tolerance:g})  {difference.quantity}")
    summary = (
        f"{failures} comparisons are outside their tolerance" if failures else "all comparisons are within tolerance"
    )
    print(f"{arguments.device}: {summary}", file=sys.stderr)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
