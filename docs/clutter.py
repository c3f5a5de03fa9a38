"""The tables of docs/clutter.md: held-out errors of small ResNets on cluttered digits of several difficulties.

    python docs/clutter.py [--seeds 3]          (about 20 core-minutes)

The difficulty of the data set `cluttered_digits`, and the networks of the demo, are chosen by these tables alone: by
the held-out errors of trained networks. Nothing is stitched here, and no test image is used.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from sweeper.spec.cards.datasets import CLUTTERED_DIGITS
from sweeper.spec.records.task import Data, TrainingRun
from sweeper.trials.data.cluttered_digits import CLUTTER, Clutter, make_split
from sweeper.trials.data.load import Dataset, _statistics
from sweeper.trials.networks.network import Images
from sweeper.trials.training.train import train

DIFFICULTIES = (
    Clutter(8, 0, 3),  # the digits as they are
    Clutter(12, 0, 3),
    CLUTTER,
    Clutter(12, 4, 3),
    Clutter(16, 2, 3),
    Clutter(16, 4, 3),
    Clutter(20, 4, 3),
)
HELD_OUT = CLUTTERED_DIGITS.holdout
HEADINGS = (
    "canvas", "fragments", "size", "network", "samples", "step", "held-out error", "training error", "core-seconds",
)  # fmt: skip


class Setting(NamedTuple):
    """A training run of the table, and the steps after which its network is measured."""

    width: int
    samples: int
    steps: tuple[int, ...]
    schedule: int = 200  # steps of the whole schedule


# The settings of the first table, on every difficulty, and of the second, on the chosen one.
SETTINGS = (
    Setting(4, 4_000, (200,)),
    Setting(8, 4_000, (50, 200)),
    Setting(16, 4_000, (200,)),
    Setting(8, 1_000, (200,)),
)
MORE_SETTINGS = (
    Setting(8, 500, (200,)),
    Setting(8, 2_000, (200,)),
    Setting(8, 4_000, (75, 100, 150)),
    Setting(8, 4_000, (300,), 300),
)


class Measured(NamedTuple):
    """The errors in percent of one network, and the core-seconds of its training up to its step."""

    step: int
    held_out: float
    training: float
    seconds: float


def images_of(clutter: Clutter) -> tuple[Images, Data]:
    """Return the images of a difficulty, without its test images, and their data set."""
    images, labels = make_split("train", clutter)
    mean, std = _statistics(images).tolist()
    dataset = Dataset(images, labels, images[:1], labels[:1], tuple(mean), tuple(std))
    data = Data("cluttered_digits", str(clutter), len(labels), 1, 10, images.shape[1:], HELD_OUT)
    return Images.from_dataset(dataset, torch.device("cpu")), data


def measure(setting: Setting, seed: int, images: Images, data: Data) -> Iterator[Measured]:
    """Train a network with the settings that a job has by default, and measure it after each of its steps."""
    run = TrainingRun(
        id="", data=data, arch="resnet18k", options=(("width", setting.width),), seed=seed, steps=setting.schedule,
        samples=setting.samples, nested=False, label_noise=0.0, batch=128, lr=0.05, momentum=0.9, weight_decay=1e-4,
        schedule="step", augment="none",
    )  # fmt: skip
    start = time.process_time()
    for trained in train(run, setting.steps, images):
        seconds = time.process_time() - start
        yield Measured(trained.step, error(trained.network, images), trained.curve[-1].error, seconds)


@torch.inference_mode()
def error(network: torch.nn.Module, images: Images) -> float:
    """Return the error on the held-out images, in percent."""
    rows = torch.arange(len(images.train) - HELD_OUT, len(images.train))
    network.eval()
    return 100 * (network(images.train_batch(rows)).argmax(1) != images.train_labels[rows]).float().mean().item()


def main() -> None:
    """Print both tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print_table(DIFFICULTIES, SETTINGS, seeds)
    print_table((CLUTTER,), MORE_SETTINGS, seeds)


def print_table(difficulties: Sequence[Clutter], settings: Sequence[Setting], seeds: int) -> None:
    """Train networks of each setting on each difficulty, and print a row for each of their steps."""
    print(f"\n| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    for clutter in difficulties:
        images, data = images_of(clutter)
        for setting in settings:
            runs = [list(measure(setting, seed, images, data)) for seed in range(seeds)]
            for networks in zip(*runs, strict=True):
                print(row(clutter, setting, networks), flush=True)


def row(clutter: Clutter, setting: Setting, networks: tuple[Measured, ...]) -> str:
    """Return a row of the table: the mean over seeds, and of the held-out error its standard deviation."""
    held_out = [network.held_out for network in networks]
    spread = f" ({np.std(held_out, ddof=1):.1f})" if len(held_out) > 1 else ""
    cells = (
        clutter.canvas,
        clutter.fragments,
        f"{clutter.fragment} x {clutter.fragment}" if clutter.fragments else "–",
        f"width {setting.width}",
        setting.samples,
        f"{networks[0].step} of {setting.schedule}",
        f"{statistics.mean(held_out):.1f} %{spread}",
        f"{statistics.mean(network.training for network in networks):.1f} %",
        f"{statistics.mean(network.seconds for network in networks):.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
