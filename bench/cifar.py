"""CIFAR-10 and the two networks that `stitching.py` and `pack.py` stitch, trained once and stored in a cache folder.

The data are in the folder of Parquet files that SWEEPER_CIFAR10 names. A is trained on all 50,000 images, B on 10,000,
both for 1,500 steps at base width 8, which takes about four minutes of a core for each.
"""

import os
import sys
from functools import cache
from pathlib import Path

import torch

from sweeper.files import cache_folder
from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import DatasetFolder, Sweep
from sweeper.spec.records.task import Data, Model, TrainingRun
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.network import Images
from sweeper.trials.networks.state_dicts import to_bytes
from sweeper.trials.training.train import train

WIDTH = 8
STEPS = 1_500
SAMPLES = {"a": 50_000, "b": 10_000}


@cache
def data() -> Data:
    """Return the data set CIFAR-10; exit if SWEEPER_CIFAR10 isn't set."""
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        sys.exit("set SWEEPER_CIFAR10 to the folder of CIFAR-10's Parquet files")
    family = {"arch": "resnet18k", "steps": 0}
    sweep = Sweep.model_validate({"name": "bench", "dataset": DatasetFolder(parquet=folder), "models": {"a": family}})
    resolved = resolve(sweep).data
    assert resolved is not None
    return resolved


@cache
def images() -> Images:
    """Return the decoded images of CIFAR-10."""
    return Images.from_dataset(load_dataset(data()), torch.device("cpu"))


def model(name: str) -> Model:
    """Return the bottom model ("a") or the top model ("b")."""
    training = TrainingRun(
        id=f"bench-{name}",
        data=data(),
        arch="resnet18k",
        options=(("width", WIDTH),),
        seed={"a": 1, "b": 2}[name],
        steps=STEPS,
        samples=SAMPLES[name],
        nested=False,
        label_noise=0.0,
        batch=128,
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        augment="crop_flip",
    )
    return Model(training.id, training, STEPS)


def weights(name: str) -> Path:
    """Return the file of a model's weights (safetensors); train the model first if the file doesn't exist."""
    path = cache_folder() / "bench" / f"{name}-width{WIDTH}-{SAMPLES[name]}-{STEPS}-{data().digest[:12]}.safetensors"
    if not path.exists():
        print(f"training {name} for {STEPS} steps ...", file=sys.stderr, flush=True)
        (trained,) = train(model(name).training, [STEPS], images())
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_bytes(to_bytes(trained.network))
        scratch.rename(path)
    return path
