"""The core-seconds that a pack saves: many stitches of one A into one B as one pack, against one pack per stitch.

    python bench/pack.py [--steps N] [--all]

CIFAR-10 and the networks of `cifar.py` at base width 8, protocol strict by its defaults, one thread, core-seconds (CPU
time of the process).

- ten: every cut of A into the same cut of B (`layers: all`, conv1x1).
- forty: four cuts of A, each into every cut of B (`top_layers: all`, adapter). Of the forty packs of one stitch only
  ten are run (each cut of B once, with the cuts of A in turn), and their time is multiplied by four; `--all` runs all.

Every pack begins with no network in memory, as in a new worker. The time includes reading both networks, their own
test scores, A's forward passes, closed forms, steps, held-out evaluations and test evaluations. It excludes decoding
the images and importing torch.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

import torch
from cifar import WIDTH, images, model, weights
from record import emit

from sweeper.spec.cards.archs import network
from sweeper.spec.cards.protocols import STRICT
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Options, Recipe, Stitch, StitchPack
from sweeper.trials import perform

BOTTOM_CUTS = ("conv1", "block3", "block6", "pool")  # cuts of A that are crossed with all of B's
TARGET_RATIO = 2.5  # core-seconds of packs of one stitch over those of one pack

Pair = tuple[str, str]  # a cut of A, a cut of B


def seconds(pairs: Sequence[Pair], stitcher: str, options: Options, steps: int) -> float:
    """Return the core-seconds of one pack with a stitch for each pair of cuts; exit if a stitch fails."""
    weight_files = {name: weights(name).read_bytes() for name in ("a", "b")}
    store = {digest(content): content for content in weight_files.values()}
    a, b = model("a"), model("b")
    recipe = Recipe(stitcher, options, "strict", "full", 0, steps, STRICT.batch, STRICT.lr, STRICT.augment)
    stitches = tuple(Stitch(digest(f"{pair}".encode())[:32], a, pair[0], b, pair[1], recipe) for pair in pairs)
    pack = StitchPack("bench", a, stitches, (), 1.0, {a.id: digest(weight_files["a"]), b.id: digest(weight_files["b"])})
    perform._networks.clear()
    start = time.process_time()
    rows = [outcome.rows[-1] for outcome in perform.perform(pack, store.__getitem__, "cpu")]
    core_seconds = time.process_time() - start
    if failed := [row for row in rows if not isinstance(row, StitchRow)]:
        sys.exit(f"pack: {failed[0]}")
    return core_seconds


def compare(
    name: str, pairs: Sequence[Pair], single_pairs: Sequence[Pair], stitcher: str, options: Options, steps: int
) -> None:
    """Emit the core-seconds of one pack and of one pack per stitch, and their ratio against the target."""
    one_pack = seconds(pairs, stitcher, options, steps)
    print(f"pack: {name} as one took {one_pack:.0f} s ...", file=sys.stderr, flush=True)
    single_packs = (
        sum(seconds([pair], stitcher, options, steps) for pair in single_pairs) * len(pairs) / len(single_pairs)
    )
    emit(f"pack, {name} as one, against each alone", one_pack, "s", single_packs, single_packs / one_pack)
    emit(f"pack, {name}, how many times cheaper, against its target", single_packs / one_pack, "x",
         TARGET_RATIO, single_packs / one_pack / TARGET_RATIO)  # fmt: skip


def main() -> None:
    """Compare both sets of stitches and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="run all forty packs of one stitch, not ten of them")
    parser.add_argument("--steps", type=int, default=STRICT.steps, help="the largest number of steps of a stitch")
    arguments = parser.parse_args()
    if "SWEEPER_CIFAR10" not in os.environ:
        print("pack: skipped, because SWEEPER_CIFAR10 names no folder with CIFAR-10", file=sys.stderr)
        return
    torch.set_num_threads(1)
    images()
    cuts = [cut.name for cut in network("resnet18k", {"width": WIDTH}, (3, 32, 32), 10).cuts]
    equal_cuts = [(cut, cut) for cut in cuts]
    compare("ten cuts", equal_cuts, equal_cuts, "conv1x1", (), arguments.steps)
    crossed = [(bottom_cut, cut) for bottom_cut in BOTTOM_CUTS for cut in cuts]
    ten_pairs = [(BOTTOM_CUTS[index % len(BOTTOM_CUTS)], cut) for index, cut in enumerate(cuts)]
    compare(
        "forty pairs of cuts",
        crossed,
        crossed if arguments.all else ten_pairs,
        "adapter",
        (("places", "pool"),),
        arguments.steps,
    )


if __name__ == "__main__":
    main()
