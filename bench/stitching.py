"""Speed and test errors of stitching on CIFAR-10 at base width 8, against the authors' code (`authors.py`).

    python bench/stitching.py [--cuts conv1,block4,block8,pool] [--steps 4000] [--quick]

Everything runs on one thread and is measured in core-seconds (CPU time of the process), because other processes on the
machine change them less than the wall clock time. A stitch of Sweeper includes its share of the work that its pack
shares, its closed form, its held-out evaluations and its test evaluations; a stitch of the authors' code includes its
steps and one test evaluation. A is trained on 50,000 images and B on 10,000 (`cifar.py`).

- Milliseconds per step, at all ten cuts, without held-out evaluations; `--quick` stops here.
- Core-seconds until the test error is within 0.5 points of the lowest error of either code. For Sweeper: the shortest
  time of stitches with at most 0, 25, 50 and 100 steps and by the defaults (strict). For the authors' code: the time
  of the first such evaluation of one run; if there is none, the time of the whole run, and the ratio is a lower bound.
- Final errors: strict by its defaults, the authors' code after `--steps`.

The authors' runs (about ten minutes a cut) are cached in the user's cache folder.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from authors import run as run_authors
from cifar import WIDTH, model, weights
from record import emit

from sweeper.files import cache_folder
from sweeper.spec.cards.archs import network
from sweeper.spec.cards.protocols import STRICT
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Recipe, Stitch, StitchPack
from sweeper.trials.perform import perform
from sweeper.trials.stitching import stitched_network

TOLERANCE = 0.5  # points of test error; a stitch has reached the lowest error if its own is at most this much higher
STEP_LIMITS = (0, 25, 50, 100, STRICT.steps)
TIMED_STEPS = 20  # steps over which a step of the baseline is timed
TARGET_STEP, TARGET_BEST_ERROR = 4.0, 20.0  # how many times faster than the authors' code


@dataclass(frozen=True)
class Baseline:
    """A run of the authors' code."""

    steps: list[int]  # the steps until each evaluation
    seconds: list[float]  # core-seconds of training until each evaluation
    errors: list[float]  # the test error in percent at each evaluation
    evaluation_seconds: float  # core-seconds of one evaluation


def strict_rows(cuts: list[str], steps: int, stop: str = "held_out") -> dict[str, StitchRow]:
    """Run a strict pack of one stitch per cut and return the rows by cut; their `seconds` are core-seconds."""
    weight_files = {name: weights(name).read_bytes() for name in ("a", "b")}
    store = {digest(content): content for content in weight_files.values()}
    a, b = model("a"), model("b")
    recipe = Recipe("conv1x1", (), "strict", "full", 0, steps, STRICT.batch, STRICT.lr, STRICT.augment, stop=stop)
    stitches = tuple(Stitch(digest(cut.encode())[:32], a, cut, b, cut, recipe) for cut in cuts)
    weights_by_model = {a.id: digest(weight_files["a"]), b.id: digest(weight_files["b"])}
    rows_by_cut = {}
    for outcome in perform(StitchPack("bench", a, stitches, (), 1.0, weights_by_model), store.__getitem__, "cpu"):
        row = outcome.rows[-1]
        assert isinstance(row, StitchRow), row
        rows_by_cut[row.cut_a] = row
    return rows_by_cut


def authors(cut: str, steps: int, seconds: float) -> Baseline:
    """Return a run of the authors' code in a separate process, or the cached result of an earlier one."""
    key = f"authors-{cut}-{steps}-{digest(weights('a').read_bytes() + weights('b').read_bytes())[:12]}.json"
    cache_file = cache_folder() / "bench" / key
    if not cache_file.exists():
        print(f"the authors' code at {cut} for {steps} steps ...", file=sys.stderr, flush=True)
        cache_file.write_bytes(_run_in_process(cut, "--steps", str(steps), "--seconds", str(seconds)))
    result = json.loads(cache_file.read_text())
    return Baseline(result["steps"], result["seconds"], result["errors"], _evaluation_seconds())


def _run_in_process(cut: str, *options: str) -> bytes:
    """Return the output of `authors.py` for a cut, as JSON."""
    command = [sys.executable, Path(__file__).parent / "authors.py", weights("a"), weights("b"), cut, *options]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


@cache
def _evaluation_seconds() -> float:
    """Return the core-seconds of the baseline's test evaluation: the whole network over 10,000 images."""
    start = time.process_time()
    run_authors(weights("a"), weights("b"), "pool", steps=1, seconds=0.0, every=0)
    return time.process_time() - start


def compare_steps(cuts: list[str]) -> None:
    """Emit the milliseconds per step; those of Sweeper include a share of A's forward pass."""
    strict_rows(cuts, 0)  # loads and scores the networks, once per process
    rows_short, rows_long = (strict_rows(cuts, steps, stop="none") for steps in (TIMED_STEPS, 2 * TIMED_STEPS))
    pairs = []
    for cut in cuts:
        strict_ms = 1000 * (rows_long[cut].seconds - rows_short[cut].seconds) / TIMED_STEPS
        authors_ms = float(json.loads(_run_in_process(cut, "--steps", str(TIMED_STEPS), "--every", "0"))["ms"])
        emit(f"stitching, a step at {cut}", strict_ms, "ms", authors_ms, authors_ms / strict_ms)
        pairs.append((strict_ms, authors_ms))
    strict_ms, authors_ms = (sum(times) / len(cuts) for times in zip(*pairs, strict=True))
    emit("stitching, a step, mean over cuts", strict_ms, "ms", authors_ms, authors_ms / strict_ms)
    ratio = sum(authors_ms / strict_ms for strict_ms, authors_ms in pairs) / len(cuts)
    emit("stitching, a step's ratio, mean over cuts, against its target", ratio, "x", TARGET_STEP, ratio / TARGET_STEP)


def compare_errors(cuts: list[str], steps: int, seconds: float) -> None:
    """Emit the core-seconds to the lowest error, and the final errors."""
    rows_by_limit = [strict_rows(cuts, limit) for limit in STEP_LIMITS]
    ratios = []
    for cut in cuts:
        baseline, rows = authors(cut, steps, seconds), [rows_by_cut[cut] for rows_by_cut in rows_by_limit]
        best = min(*baseline.errors, *(row.test_error for row in rows))
        close_seconds = [row.seconds for row in rows if row.test_error <= best + TOLERANCE]
        baseline_close_seconds = [
            elapsed
            for elapsed, error in zip(baseline.seconds, baseline.errors, strict=True)
            if error <= best + TOLERANCE
        ]
        baseline_seconds = (
            baseline_close_seconds[0] if baseline_close_seconds else baseline.seconds[-1]
        ) + baseline.evaluation_seconds
        name = f"stitching, to within {TOLERANCE} points of the best ({best:.2f} %) at {cut}"
        if close_seconds:
            emit(
                name if baseline_close_seconds else f"{name}, which the authors' code did not reach",
                close_seconds[0],
                "s",
                baseline_seconds,
                baseline_seconds / close_seconds[0],
            )
            ratios.append(baseline_seconds / close_seconds[0])
        else:
            emit(f"{name}: not reached", rows[-1].seconds, "s", baseline_seconds, None)
        last = rows[-1]
        progress = (
            f"{baseline.steps[-1]} steps" if baseline.steps[-1] == steps else f"{baseline.steps[-1]} of {steps} steps"
        )
        emit(f"stitching, final error at {cut}, against the authors' code after {progress}", last.test_error, "%",
             baseline.errors[-1], baseline.errors[-1] / last.test_error)  # fmt: skip
    if ratios:
        mean = sum(ratios) / len(ratios)
        emit("stitching, how many times faster to this error, mean over cuts, against its target", mean, "x",
             TARGET_BEST_ERROR, mean / TARGET_BEST_ERROR)  # fmt: skip


def main() -> None:
    """Compare Sweeper with the authors' code and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", default="conv1,block4,block8,pool", help="cuts at which errors are compared")
    parser.add_argument("--steps", type=int, default=4000, help="steps of the authors' code")
    parser.add_argument(
        "--seconds", type=float, default=1200.0, help="core-seconds after which the authors' code stops"
    )
    parser.add_argument("--quick", action="store_true", help="measure milliseconds per step only")
    arguments = parser.parse_args()
    if "SWEEPER_CIFAR10" not in os.environ:
        print("stitching: skipped, because SWEEPER_CIFAR10 names no folder with CIFAR-10", file=sys.stderr)
        return
    torch.set_num_threads(1)
    stitched_network.clock = time.process_time
    compare_steps([cut.name for cut in network("resnet18k", {"width": WIDTH}, (3, 32, 32), 10).cuts])
    if not arguments.quick:
        compare_errors(arguments.cuts.split(","), arguments.steps, arguments.seconds)


if __name__ == "__main__":
    main()
