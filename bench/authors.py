"""One stitch as in the published code of Bansal et al. 2021, the baseline of `stitching.py`.

    python bench/authors.py A B CUT [--steps 4000] [--seconds 3600] [--every 250]

Each stitch runs in one process. Images are decoded to PIL, cropped, flipped and normalised one by one by torchvision's
transforms in a `DataLoader`. The whole stitched network is in train mode: A's layers up to the cut, the stitcher,
B's layers after it. The weights of A and B are frozen; their batch norms update their statistics. The stitcher is
trained by Adam (1e-3) with a cosine schedule to 0 over the steps and batches of 128. The network is in torch's default
layout, on one thread. Unlike the published code, this baseline computes no gradients of frozen weights, which makes it
faster.

A and B are safetensors files of resnet18k networks of base width 8. The data are in the Parquet folder SWEEPER_CIFAR10.
The script writes one JSON object to stdout: `ms` per step, and the lists `steps`, `seconds` and `errors` with the steps
and core-seconds of training until each evaluation (without evaluations) and its test error. Training stops early after
`--seconds`.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import torch
from cifar import WIDTH
from cifar import images as cifar10
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from sweeper.trials.networks.archs import build

BATCH = 128
LR = 1e-3


class Pictures(TorchDataset[tuple[Tensor, int]]):
    """PIL pictures and labels with a transform, like torchvision's own CIFAR10."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]):
        self.images, self.labels, self.transform = images.permute(0, 2, 3, 1).numpy(), labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def stitched(a: Path, b: Path, cut: str) -> tuple[nn.Module, nn.Module]:
    """Return the stitched network of two files of weights, and its stitcher."""
    networks = []
    for path in (a, b):
        network = build("resnet18k", {"width": WIDTH}, (3, 32, 32), 10)
        network.load_state_dict(load_file(path))
        networks.append(network.requires_grad_(False))
    names = list(networks[0].stages)
    stages_of_bottom = names.index(cut) + 1
    bottom, top = ([network.stages[name] for name in names] for network in networks)
    with torch.no_grad():
        channels = nn.Sequential(*bottom[:stages_of_bottom]).eval()(torch.zeros(1, 3, 32, 32)).shape[1]
    if cut == "pool":
        stitcher = nn.Sequential(nn.BatchNorm1d(channels), nn.Linear(channels, channels), nn.BatchNorm1d(channels))
    else:
        stitcher = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
    return nn.Sequential(*bottom[:stages_of_bottom], stitcher, *top[stages_of_bottom:]), stitcher


@torch.no_grad()
def error(network: nn.Module, images: DataLoader[Any]) -> float:
    """Return the test error in percent, in eval mode; the network is in train mode afterwards."""
    network.eval()
    wrong = sum(int((network(x).argmax(1) != labels).sum()) for x, labels in images)
    network.train()
    return 100 * wrong / len(images.dataset)  # type: ignore[arg-type]


def run(a: Path, b: Path, cut: str, steps: int, seconds: float, every: int) -> dict[str, object]:
    """Train one stitch and return the JSON object that the module describes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = cifar10()
    standard = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train = Pictures(data.train, data.train_labels, transforms.Compose(augment + standard))
    test = Pictures(data.test, data.test_labels, transforms.Compose(standard))
    batches = DataLoader(train, BATCH, shuffle=True, drop_last=True)
    tests = DataLoader(test, 500)

    network, stitcher = stitched(a, b, cut)
    network.train()
    optimizer = torch.optim.Adam(stitcher.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    training_seconds, steps_taken, curve = 0.0, 0, []
    start = time.process_time()
    for images, labels in chain.from_iterable(repeat(batches)):
        optimizer.zero_grad()
        cross_entropy(network(images), labels).backward()
        optimizer.step()
        schedule.step()
        steps_taken += 1
        training_seconds += time.process_time() - start
        finished = steps_taken == steps or training_seconds >= seconds
        if finished or (every and steps_taken % every == 0):
            curve.append((steps_taken, training_seconds, error(network, tests)))
        if finished:
            break
        start = time.process_time()
    curve_steps, curve_seconds, errors = zip(*curve, strict=True)
    return {
        "cut": cut,
        "steps": curve_steps,
        "ms": 1000 * training_seconds / steps_taken,
        "seconds": curve_seconds,
        "errors": errors,
    }


def main() -> None:
    """Run one stitch with the settings of the command line, and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path, help="file of the bottom's weights")
    parser.add_argument("b", type=Path, help="file of the top's weights")
    parser.add_argument("cut", help="the last stage of the bottom in the stitched network")
    parser.add_argument("--steps", type=int, default=4000, help="steps of the cosine schedule")
    parser.add_argument("--seconds", type=float, default=3600.0, help="core-seconds after which training stops")
    parser.add_argument("--every", type=int, default=250, help="steps between two evaluations; 0 for one at the end")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.a, arguments.b, arguments.cut, arguments.steps, arguments.seconds, arguments.every)))


if __name__ == "__main__":
    main()
