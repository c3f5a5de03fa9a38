"""The minimum that strict stitches reach, against plain Adam from a random start: held-out losses and core-seconds.

    python bench/minimum.py [--steps 3000] [--seeds 3] [--digits]

Two sets of stitches: the digits (resnet18k of width 16; bottoms of 100 and 1,200 images, tops of the same) and CIFAR-10
(width 8; 2,000 and 20,000 images), each at three cuts and at the last. CIFAR-10 needs SWEEPER_CIFAR10; `--digits`
leaves it out. The baseline is torch's Adam with batches of 64 for `--steps` steps at 1e-3, which fall to 0 along a
cosine, from the stitcher's random initialisation, on the same images; its loss is that of its last step. Both are run
with several seeds, because the baseline's loss depends on its seed; a strict loss is compared with the mean of the
baseline's losses for the same networks and cut. At the last cut, a linear probe of A, it is also compared with that of
A's own layers.

Printed for each cut, over its stitches: the mean and the largest ratio of the two held-out losses (below 1: strict is
better), the largest ratio of a baseline's loss to the mean of its seeds, core-seconds of a stitch, and the share that
converged. The losses of the baseline are kept in the cache folder; with one seed it takes about half an hour of a core
on CIFAR-10.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import cos, pi
from statistics import mean
from typing import Any

import torch
from record import emit
from torch import nn
from torch.nn import functional

from sweeper.api import make_plan
from sweeper.files import cache_folder
from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import DatasetFolder, Sweep
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import CurveRow, StitchRow
from sweeper.spec.records.task import Pack, TrainPack
from sweeper.trials.networks.cut import top
from sweeper.trials.perform import perform
from sweeper.trials.stitching import protocol_strict, stitched_network
from sweeper.trials.stitching.protocol_strict import StrictProtocol
from sweeper.trials.stitching.stitched_network import Batch, StitchedNetwork, score_networks, trains
from sweeper.trials.training.learning_curve import Point

CUTS = ("block2", "block4", "block6", "block8")
TARGET_MEAN, TARGET_MOST, TARGET_CONVERGED = 1.05, 1.2, 0.9


@dataclass(frozen=True)
class Stitched:
    """What a stitch reached."""

    place: tuple[str, str, str]  # A, B and the cut
    loss: float  # held-out, nats: the lowest, or for the baseline the last
    seconds: float
    converged: bool


def job(name: str, seeds: int) -> Sweep:
    """Return the job of a set of stitches, each with several seeds."""
    width, few, many, steps = {"digits": (16, 100, 1200, (200, 200)), "cifar10": (8, 2000, 20000, (300, 900))}[name]
    family = {"arch": "resnet18k", "width": width}
    folder = os.environ.get("SWEEPER_CIFAR10", "")
    stitch = {"layers": list(CUTS), "seed": list(range(seeds)), "where": "a.seed in [0, 10] and b.seed in [1, 11]"}
    return Sweep.model_validate({
        "name": name,
        "dataset": "digits" if name == "digits" else DatasetFolder(parquet=folder),
        "models": {
            "weak": {**family, "samples": few, "steps": steps[0], "seed": [0, 1]},
            "strong": {**family, "samples": many, "steps": steps[1], "seed": [10, 11]},
        },
        "stitch": [{"bottom": ["weak", "strong"], "top": ["weak", "strong"], **stitch}],
    })  # fmt: skip


def packs_and_weights(sweep: Sweep) -> tuple[list[Pack], dict[str, bytes]]:
    """Return the packs of stitches of a job, with weights, and the weights by digest; train the models."""
    weights: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    packs = []
    for pack in make_plan(resolve(sweep)).packs():
        if isinstance(pack, TrainPack):
            for outcome in perform(pack, weights.__getitem__, "cpu"):
                assert outcome.weights, outcome.rows
                digests[outcome.rows[-1].task] = digest(outcome.weights)
                weights[digest(outcome.weights)] = outcome.weights
        else:
            packs.append(replace(pack, weights={model: digests[model] for model in pack.inputs}))
    return packs, weights


def results(packs: Sequence[Pack], weights: Mapping[str, bytes], lowest: bool) -> dict[str, Stitched]:
    """Perform packs, and return what each stitch reached by its task id."""
    reached = {}
    for pack in packs:
        for outcome in perform(pack, weights.__getitem__, "cpu"):
            row = outcome.rows[-1]
            assert isinstance(row, StitchRow), row
            losses = [point.loss for point in outcome.rows if isinstance(point, CurveRow) and point.split == "stop"]
            loss = min(losses) if lowest else losses[-1]
            reached[row.task] = Stitched((row.a, row.b, row.cut_a), loss, row.seconds, row.converged)
    return reached


@contextmanager
def plain_adam(steps: int) -> Iterator[dict[str, float]]:
    """Train strict stitches by plain Adam from their random start; yield the losses of A's own layers by stitch."""
    own_losses: dict[str, float] = {}

    def train(
        networks: Sequence[StitchedNetwork],
        batch: Callable[[int], Batch],
        held_out: Iterable[Batch],
        images: int,
        saving: object,
        must_repeat: object,
    ) -> Iterator[list[StitchedNetwork]]:
        for stitched in networks:
            if trains(stitched):
                _train(stitched, batch, held_out, steps)
        yield list(networks)

    original_train, original_start = protocol_strict.train, StrictProtocol.starts_at_closed_form
    original = StrictProtocol.train_and_score

    def train_and_score(
        self: StrictProtocol, networks: Any, closed_forms: Any, feeds: Any, tops: Any, saving: Any
    ) -> Any:
        networks = list(networks)
        _, held_out = feeds.cached_train_batches(steps)
        for stitched in networks:
            own = StitchedNetwork("own", stitched.cut, nn.Identity(), top(feeds.folded, stitched.cut), 0, 0.0)
            own_losses[stitched.id] = score_networks([own], held_out)[own].loss
            stitched.steps = steps
        return original(self, networks, closed_forms, feeds, tops, saving)

    protocol_strict.train, StrictProtocol.starts_at_closed_form = train, lambda *_: False  # type: ignore[assignment]
    StrictProtocol.train_and_score = train_and_score  # type: ignore[method-assign]
    try:
        yield own_losses
    finally:
        protocol_strict.train, StrictProtocol.starts_at_closed_form = original_train, original_start
        StrictProtocol.train_and_score = original


def _train(stitched: StitchedNetwork, batch: Callable[[int], Batch], held_out: Iterable[Batch], steps: int) -> None:
    start = time.process_time()
    stitcher = stitched.stitcher.eval().requires_grad_(True)
    optimizer = torch.optim.Adam(stitcher.parameters())
    for step in range(steps):
        feed, labels = batch(step)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + cos(pi * step / steps)) / 2
        optimizer.zero_grad()
        functional.cross_entropy(stitched(feed), labels).backward()
        optimizer.step()
    score = score_networks([stitched], held_out)[stitched]
    stitched.curve.append(Point(steps, "stop", score.loss, score.error))
    stitched.steps_taken, stitched.train_loss = steps, 0.0
    stitched.seconds += time.process_time() - start


def baseline(
    name: str, steps: int, seeds: int, packs: Sequence[Pack], weights: Mapping[str, bytes]
) -> dict[str, dict[str, float]]:
    """Return the baseline's loss and that of A's own layers by task id, from the cache folder if they are there."""
    key = digest(json.dumps([name, steps, torch.__version__, sorted(weights), seeds]).encode())[:16]
    path = cache_folder() / "bench" / f"minimum-{key}.json"
    if not path.exists():
        with plain_adam(steps) as own_losses:
            reached = results(packs, weights, lowest=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({task: {"loss": r.loss, "own": own_losses[task]} for task, r in reached.items()}))
    return json.loads(path.read_text())


def compare(name: str, steps: int, seeds: int) -> None:
    """Print the figures of a set of stitches."""
    print(f"{name}: training the models and stitching ...", file=sys.stderr, flush=True)
    packs, weights = packs_and_weights(job(name, seeds))
    reached = results(packs, weights, lowest=True)
    losses = baseline(name, steps, seeds, packs, weights)
    by_place = defaultdict(list)
    for task, strict in reached.items():
        by_place[strict.place].append(losses[task]["loss"])
    ratios, own_ratios, seconds, converged = (defaultdict(list) for _ in range(4))
    for task, strict in reached.items():
        cut, expected = strict.place[2], mean(by_place[strict.place])
        ratios[cut].append(strict.loss / expected)
        own_ratios[cut].append(losses[task]["loss"] / expected)
        seconds[cut].append(strict.seconds)
        converged[cut].append(strict.converged)
    for cut in CUTS:
        worst = max(ratios[cut])
        emit(f"{name} {cut}: held-out loss over plain Adam's, mean", mean(ratios[cut]), "ratio", TARGET_MEAN,
             TARGET_MEAN / mean(ratios[cut]))  # fmt: skip
        emit(f"{name} {cut}: held-out loss over plain Adam's, most", worst, "ratio", TARGET_MOST, TARGET_MOST / worst)
        emit(f"{name} {cut}: plain Adam's own loss over the mean of its seeds, most", max(own_ratios[cut]), "ratio")
        emit(f"{name} {cut}: a stitch", mean(seconds[cut]), "core-s")
        emit(f"{name} {cut}: converged", mean(converged[cut]), "share", TARGET_CONVERGED)
    probes = [task for task, strict in reached.items() if strict.place[2] == CUTS[-1]]
    emit(f"{name} {CUTS[-1]}: held-out loss at most that of A's own layers",
         mean(reached[task].loss <= losses[task]["own"] for task in probes), "share", 0.95)  # fmt: skip


def main() -> None:
    """Compare both sets, or the digits alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=3000, help="steps of plain Adam")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each stitch")
    parser.add_argument("--digits", action="store_true", help="leave out CIFAR-10")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stitched_network.clock = time.process_time
    for name in ("digits",) if arguments.digits or "SWEEPER_CIFAR10" not in os.environ else ("digits", "cifar10"):
        compare(name, arguments.steps, arguments.seeds)


if __name__ == "__main__":
    main()
