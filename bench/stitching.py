"""Stitching on CIFAR-10 at base width 8, against the authors' way (`authors.py`): time a step, time to an answer, and
the answers themselves.

    python bench/stitching.py [--cuts conv1,block4,block8,pool] [--steps 4000] [--quick]

Everything runs on one thread and is counted in core-seconds (CPU time of the process), which other processes on the
machine disturb less than they do wall clock. A stitch of ours counts its share of what its pack shares, its closed
form, its looks at held-out images and its test evaluations; the authors' way counts its steps and one test
evaluation. A is trained on 50,000 images and B on 10,000 (`cifar.py`).

- milliseconds a step, at all ten cuts, looks at held-out images left out: `--quick` stops here.
- core-seconds until the test error is within 0.5 points of the best that either way reaches. Ours: the cheapest of
  stitches with 0, 25, 50, 100, 200 and at most 300 steps (strict). Theirs: the first such evaluation on the way of one
  run; where it never comes, the whole run, and the ratio is a lower bound.
- the final errors: strict by its defaults, theirs after `--steps`.

The authors' runs (about ten minutes a cut) are kept in the user's cache folder.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from authors import run as run_authors
from cifar import WIDTH, model, weights
from record import emit

from sweeper.spec.cards.archs import network
from sweeper.spec.cards.protocols import STRICT
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Recipe, Stitch, StitchPack
from sweeper.trials.data.load import cache_folder
from sweeper.trials.perform import perform
from sweeper.trials.stitching import protocol_strict
from sweeper.trials.stitching import stitched_network as kernel

CLOSE = 0.5  # points of test error that count as the same answer
BUDGETS = (0, 25, 50, 100, 200, STRICT.steps)
FEW = 20  # steps over which a step of the baseline is timed
TARGET_STEP, TARGET_ANSWER = 4.0, 20.0


@dataclass(frozen=True)
class Baseline:
    """A run the authors' way."""

    steps: list[int]
    seconds: list[float]  # core-seconds of training until each evaluation
    errors: list[float]
    evaluation: float  # core-seconds of one


def ours(cuts: list[str], steps: int) -> dict[str, StitchRow]:
    """A strict pack of one stitch a cut, by cut; `seconds` are core-seconds."""
    blobs = {name: weights(name).read_bytes() for name in ("a", "b")}
    store = {digest(blob): blob for blob in blobs.values()}
    a, b = model("a"), model("b")
    recipe = Recipe("conv1x1", (), "strict", "full", 0, steps, STRICT.batch, STRICT.lr, STRICT.augment)
    stitches = tuple(Stitch(digest(cut.encode())[:32], a, cut, b, cut, recipe) for cut in cuts)
    pinned = {a.id: digest(blobs["a"]), b.id: digest(blobs["b"])}
    found = {}
    for outcome in perform(StitchPack("bench", a, stitches, (), 1.0, pinned), store.__getitem__, "cpu"):
        row = outcome.rows[-1]
        assert isinstance(row, StitchRow), row
        found[row.cut_a] = row
    return found


def authors(cut: str, steps: int, seconds: float) -> Baseline:
    """A run the authors' way, in a process of its own; remembered."""
    key = f"authors-{cut}-{steps}-{digest(weights('a').read_bytes() + weights('b').read_bytes())[:12]}.json"
    kept = cache_folder() / "bench" / key
    if not kept.exists():
        print(f"the authors' way at {cut} for {steps} steps ...", file=sys.stderr, flush=True)
        kept.write_bytes(_own_process(cut, "--steps", str(steps), "--seconds", str(seconds)))
    told = json.loads(kept.read_text())
    return Baseline(told["steps"], told["seconds"], told["errors"], _evaluation())


def _own_process(cut: str, *options: str) -> bytes:
    """What `authors.py` says of a cut, as JSON."""
    command = [sys.executable, Path(__file__).parent / "authors.py", weights("a"), weights("b"), cut, *options]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


@cache
def _evaluation() -> float:
    """Core-seconds of a test evaluation: the whole network over 10,000 images, as the baseline does it."""
    start = time.process_time()
    run_authors(weights("a"), weights("b"), "pool", steps=1, seconds=0.0, every=0)
    return time.process_time() - start


def steps_timed(cuts: list[str]) -> None:
    """Milliseconds a step; of ours with its share of A's forward pass."""
    ours(cuts, 0)  # loads and scores the networks, once a process
    with _no_looks():
        short, long = (ours(cuts, steps) for steps in (FEW, 2 * FEW))
    pairs = []
    for cut in cuts:
        mine = 1000 * (long[cut].seconds - short[cut].seconds) / FEW
        theirs = float(json.loads(_own_process(cut, "--steps", str(FEW), "--every", "0"))["ms"])
        emit(f"stitching, a step at {cut}", mine, "ms", theirs, theirs / mine)
        pairs.append((mine, theirs))
    mine, theirs = (sum(times) / len(cuts) for times in zip(*pairs, strict=True))
    emit("stitching, a step, mean over cuts", mine, "ms", theirs, theirs / mine)
    times = sum(theirs / mine for mine, theirs in pairs) / len(cuts)
    emit("stitching, a step's ratio, mean over cuts, against its target", times, "x", TARGET_STEP, times / TARGET_STEP)


def answers(cuts: list[str], steps: int, seconds: float) -> None:
    """Time to an answer, and the answers."""
    tried = [ours(cuts, budget) for budget in BUDGETS]
    ratios = []
    for cut in cuts:
        told, rows = authors(cut, steps, seconds), [found[cut] for found in tried]
        best = min(*told.errors, *(row.test_error for row in rows))
        near = [row.seconds for row in rows if row.test_error <= best + CLOSE]
        theirs = [at for at, error in zip(told.seconds, told.errors, strict=True) if error <= best + CLOSE]
        spent = (theirs[0] if theirs else told.seconds[-1]) + told.evaluation
        name = f"stitching, to within {CLOSE} points of the best ({best:.2f} %) at {cut}"
        if near:
            emit(
                name if theirs else f"{name}, where the authors' way did not get", near[0], "s", spent, spent / near[0]
            )
            ratios.append(spent / near[0])
        else:
            emit(f"{name}: not reached", rows[-1].seconds, "s", spent, None)
        last = rows[-1]
        end = f"{told.steps[-1]} steps" if told.steps[-1] == steps else f"{told.steps[-1]} of {steps} steps"
        emit(f"stitching, final error at {cut}, against the authors' way after {end}", last.test_error, "%",
             told.errors[-1], told.errors[-1] / last.test_error)  # fmt: skip
    if ratios:
        mean = sum(ratios) / len(ratios)
        emit("stitching, how many times sooner an answer, mean over cuts, against its target", mean, "x",
             TARGET_ANSWER, mean / TARGET_ANSWER)  # fmt: skip


@contextmanager
def _no_looks() -> Iterator[None]:
    """Stitches look at held-out images at their start and end alone, and take all their steps."""
    before, protocol_strict.LOOK = protocol_strict.LOOK, sys.maxsize
    try:
        yield
    finally:
        protocol_strict.LOOK = before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", default="conv1,block4,block8,pool", help="whose answers are compared")
    parser.add_argument("--steps", type=int, default=4000, help="of the authors' way")
    parser.add_argument("--seconds", type=float, default=1200.0, help="core-seconds after which it ends all the same")
    parser.add_argument("--quick", action="store_true", help="milliseconds a step alone")
    given = parser.parse_args()
    if "SWEEPER_CIFAR10" not in os.environ:
        print("stitching: left out, for SWEEPER_CIFAR10 names no folder with CIFAR-10", file=sys.stderr)
        return
    torch.set_num_threads(1)
    kernel.clock = time.process_time
    steps_timed([cut.name for cut in network("resnet18k", {"width": WIDTH}, (3, 32, 32), 10).cuts])
    if not given.quick:
        answers(given.cuts.split(","), given.steps, given.seconds)


if __name__ == "__main__":
    main()
