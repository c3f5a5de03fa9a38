"""Tests of weights from files in a job, for Sweeper's architectures and for external networks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.training_runs import DIGITS, training_run

from sweeper.plan.plan import Plan
from sweeper.spec.cards import probed
from sweeper.spec.cards.probed import Probed
from sweeper.spec.job.load import load
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, Row, StitchRow
from sweeper.trials.networks import network_cards
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.state_dicts import to_bytes
from sweeper.trials.networks.traced.check_cuts import check_cuts
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.perform import perform
from sweeper.trials.training.initial_weights import start

SQUEEZE = "torchvision:squeezenet1_1"
IMAGE, CLASSES = (3, 32, 32), 2


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an empty cache folder, and forget the external networks that this process has built."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(network_cards, "_external", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write coloured images of two classes, 32 x 32, and return the folder that holds `images`."""
    rng = np.random.default_rng(0)
    for split, images in (("train", 20), ("test", 6)):
        for label in range(CLASSES):
            class_folder = tmp_path / "images" / split / str(label)
            class_folder.mkdir(parents=True)
            for i in range(images):
                pixels = rng.integers(0, 128, (32, 32, 3)) + 127 * label
                Image.fromarray(pixels.astype(np.uint8)).save(class_folder / f"{i}.png")
    return tmp_path


def load_job(folder: Path, models: str, stitch: str = "") -> ResolvedSweep:
    """Write and load a job with these models and stitches, given as YAML."""
    path = folder / "job.yaml"
    path.write_text(f"name: pretrained\ndataset: {{imagefolder: images}}\nmodels:\n  {models}\n{stitch}")
    return load(path)


def perform_sweep(sweep: ResolvedSweep, files: dict[str, bytes]) -> Iterator[Row]:
    """Return the result rows of a sweep; `files` are a store's weights by digest."""
    blobs, weights = dict(files), {}
    for pack in Plan.of(sweep).packs():
        pinned: Any = {model: weights[model] for model in pack.inputs}
        for outcome in perform(replace(pack, weights=pinned), blobs.__getitem__):
            if outcome.weights:
                weights[outcome.rows[-1].task] = digest(outcome.weights)
                blobs[digest(outcome.weights)] = outcome.weights
            yield outcome.rows[-1]


STITCH = "stitch:\n  - {bottom: m, top: m, layers: [features.4], stitcher: [identity, conv1x1], steps: 3, batch: 8}"


def test_a_torchvision_network_with_weights_from_a_file_has_the_ids_and_weights_of_their_content(folder: Path) -> None:
    network = make(SQUEEZE, IMAGE, CLASSES, seed=7).eval()
    save_file(network.state_dict(), folder / "net.safetensors")
    (folder / "copies").mkdir()
    (folder / "copies" / "other.safetensors").write_bytes((folder / "net.safetensors").read_bytes())
    probed.cache_card(Probed(SQUEEZE, IMAGE, CLASSES, check_cuts(make(SQUEEZE, IMAGE, CLASSES), IMAGE).card))

    sweep, copied_sweep = (
        load_job(folder, f'm: {{arch: "{SQUEEZE}", steps: 0, weights: {file}}}', STITCH)
        for file in ("net.safetensors", "copies/other.safetensors")
    )
    assert Plan.of(sweep).ids() == Plan.of(copied_sweep).ids()
    content = (folder / "net.safetensors").read_bytes()
    model, *stitches = perform_sweep(sweep, {digest(content): content})
    assert isinstance(model, ModelRow), model
    assert (model.init, model.init_weights, model.steps) == (None, digest(content), 0)
    assert model.weights == digest(to_bytes(build(SQUEEZE, (), IMAGE, CLASSES, seed=7)))
    assert len(stitches) == 2
    for row in stitches:
        assert isinstance(row, StitchRow), row
        assert row.b_weights == model.weights
        assert row.stop_data in ("seen", "none")
        if row.stitcher == "identity":
            assert row.penalty == 0.0


def test_a_run_may_start_from_weights_of_a_store() -> None:
    """Start an external network from weights under the names that a store uses."""
    network = build(SQUEEZE, (), IMAGE, CLASSES, seed=7)
    data = replace(DIGITS, shape=IMAGE, classes=CLASSES)
    network_at_start = start(
        training_run(arch=SQUEEZE, options=(), data=data, weights="digest"), lambda: to_bytes(network)
    )
    assert to_bytes(network_at_start) == to_bytes(network)


def test_a_built_in_network_has_exactly_the_weights_of_the_file(folder: Path) -> None:
    """Start from a file with the bytes of a store's checkpoint: the untrained model has the same bytes."""
    content = to_bytes(build("resnet18k", {"width": 2}, IMAGE, CLASSES, seed=3))
    (folder / "ours.safetensors").write_bytes(content)
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: [0, 2], batch: 8, weights: ours.safetensors}")
    untouched, tuned = perform_sweep(sweep, {digest(content): content})
    assert isinstance(untouched, ModelRow), untouched
    assert isinstance(tuned, ModelRow), tuned
    assert untouched.weights == untouched.init_weights == tuned.init_weights == digest(content) != tuned.weights


@pytest.mark.parametrize("seed", [0, 1])
def test_a_state_dict_that_torch_saved_is_read_as_plain_tensors(folder: Path, seed: int) -> None:
    network = build("resnet18k", {"width": 2}, IMAGE, CLASSES, seed=3)
    torch.save(network.state_dict(), folder / "ours.pt")
    content = (folder / "ours.pt").read_bytes()
    sweep = load_job(folder, f"m: {{arch: resnet18k, width: 2, steps: 0, seed: {seed}, weights: ours.pt}}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, ModelRow), row
    assert (row.weights, row.init_weights) == (digest(to_bytes(network)), digest(content))


class Bad:
    """An object whose pickle would run code when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("code of a pickle was run",)


@pytest.mark.parametrize(
    ("make_content", "message"),
    [
        (
            lambda: build("resnet18k", {"width": 2}, IMAGE, 1000).state_dict(),
            "they have 1000 classes, the network has 2",
        ),
        (lambda: build("resnet18k", {"width": 3}, IMAGE, CLASSES).state_dict(), "3x3x3x3, the network's 2x3x3x3"),
        (lambda: build("myrtle", {"width": 2}, IMAGE, CLASSES).state_dict(), "they lack stages.block1"),
        (
            lambda: {"state_dict": {}, "epoch": 3},
            "not a state dict of plain tensors, but a dict, with state_dict, epoch",
        ),
        (lambda: Bad(), "not a state dict of plain tensors"),
    ],
)
def test_weights_that_do_not_fit_give_a_failure_row_with_the_reason(
    folder: Path, make_content: Any, message: str
) -> None:
    torch.save(make_content(), folder / "bad.pt")
    content = (folder / "bad.pt").read_bytes()
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, weights: bad.pt}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, FailureRow), row
    assert (row.of, row.error) == ("models", "NetworkError")
    assert message in row.message


def test_the_ends_of_weights_from_a_file_are_reset(folder: Path) -> None:
    content = to_bytes(build("resnet18k", {"width": 2}, IMAGE, 5, seed=3))
    (folder / "ours.safetensors").write_bytes(content)
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, reset: ends, weights: ours.safetensors}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, ModelRow), row
    assert row.reset == "ends"
    assert row.weights != digest(content)
