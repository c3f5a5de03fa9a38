"""Tests of weights from files in a job, for Sweeper's architectures and for external networks."""

import re
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
            "the file of weights is a dictionary with state_dict, epoch, not a state dict of plain tensors",
        ),
        (lambda: Bad(), "the file of weights is "),
    ],
)
def test_weights_that_do_not_fit_give_a_failure_row_with_the_reason(
    folder: Path, make_content: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of a loaded job finds them first; a worker refuses them too."""
    monkeypatch.setattr("sweeper.spec.job.load.weight_findings", lambda _: [])
    torch.save(make_content(), folder / "bad.pt")
    content = (folder / "bad.pt").read_bytes()
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, weights: bad.pt}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, FailureRow), row
    assert (row.of, row.error) == ("models", "NetworkError")
    assert message in row.message


def test_a_network_with_weights_that_are_not_finite_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.spec.job.load.weight_findings", lambda _: [])
    network = build("resnet18k", {"width": 2}, IMAGE, CLASSES)
    torch.nn.init.constant_(network.get_parameter("stages.linear.bias"), torch.nan)
    content = to_bytes(network)
    (folder / "nan.safetensors").write_bytes(content)
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, weights: nan.safetensors}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, FailureRow), row
    assert "in stages.linear.bias 2 of 2 values are not finite numbers" in row.message


def test_finite_weights_whose_outputs_overflow_are_not_used(folder: Path) -> None:
    network = build("resnet18k", {"width": 2}, IMAGE, CLASSES)
    for name, weights in network.named_parameters():
        if "linear" in name or "conv1" in name:
            torch.nn.init.constant_(weights, 3e38)
    content = to_bytes(network)
    (folder / "huge.safetensors").write_bytes(content)
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, weights: huge.safetensors}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, FailureRow), row
    assert row.error == "FloatingPointError"
    assert row.message.startswith("on the test images: 12 of 24 outputs are not finite numbers")


def test_the_ends_of_weights_from_a_file_are_reset(folder: Path) -> None:
    content = to_bytes(build("resnet18k", {"width": 2}, IMAGE, 5, seed=3))
    (folder / "ours.safetensors").write_bytes(content)
    sweep = load_job(folder, "m: {arch: resnet18k, width: 2, steps: 0, reset: ends, weights: ours.safetensors}")
    (row,) = perform_sweep(sweep, {digest(content): content})
    assert isinstance(row, ModelRow), row
    assert row.reset == "ends"
    assert row.weights != digest(content)


RESNET = "torchvision:resnet18"


def save_resnet(folder: Path, network: torch.nn.Module) -> bytes:
    torch.save(network.state_dict(), folder / "resnet18.pth")
    probed.cache_card(Probed(RESNET, IMAGE, CLASSES, check_cuts(make(RESNET, IMAGE, CLASSES), IMAGE).card))
    return (folder / "resnet18.pth").read_bytes()


@pytest.mark.parametrize("has_head", [True, False])
def test_a_probe_is_trained_on_a_network_of_other_classes_or_without_a_head(folder: Path, has_head: bool) -> None:
    """The backbone keeps the bytes of the file; the probe alone trains, and starts from the seed of the run."""
    published = make(RESNET, IMAGE, 1000, seed=7)
    if not has_head:
        published.fc = torch.nn.Identity()
    content = save_resnet(folder, published)
    weights = "weights: resnet18.pth, head: probe, batch: 8, lr: 0.1, input: {size: 32}"
    sweep = load_job(folder, f'm: {{arch: "{RESNET}", steps: 40, snapshot: [1, 40], {weights}}}')
    stored: dict[str, bytes] = {digest(content): content}
    first, last = perform_sweep(sweep, stored)
    assert isinstance(first, ModelRow), first
    assert isinstance(last, ModelRow), last
    assert (last.head, last.reset, last.input) == ("probe", "head", None)
    assert last.test_error < 20
    assert first.weights != last.weights


def test_networks_with_images_of_their_own_are_stitched_and_compared(folder: Path) -> None:
    """The bottom takes its own images: a stitch of two copies of one network by the identity is the network itself."""
    content = save_resnet(folder, make(RESNET, IMAGE, CLASSES, seed=7))
    own = build("resnet18k", {"width": 2}, (3, 16, 16), CLASSES, seed=3)
    (folder / "own.safetensors").write_bytes(to_bytes(own))
    images = "input: {size: 16, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
    models = (
        f"a: {{arch: resnet18k, width: 2, steps: 0, weights: own.safetensors, {images}}}\n"
        f'  b: {{arch: "{RESNET}", steps: 0, weights: resnet18.pth}}\n'
    )
    joins = (
        "  - {bottom: a, top: a, layers: [block4], stitcher: identity}\n"
        "  - {bottom: a, top: b, layers: [pool], top_layers: [flatten], stitcher: linear, steps: 3, batch: 8}\n"
        "  - {bottom: b, top: a, layers: [flatten], top_layers: [pool], stitcher: linear, steps: 3, batch: 8}\n"
        "similarity:\n  - {bottom: a, top: b, layers: [pool], top_layers: [flatten], measure: linear_cka}\n"
    )
    files = {digest(part): part for part in (content, to_bytes(own))}
    rows = list(perform_sweep(load_job(folder, models, f"stitch:\n{joins}"), files))
    assert not [row for row in rows if isinstance(row, FailureRow)]
    stitches = [row for row in rows if isinstance(row, StitchRow)]
    (itself,) = [row for row in stitches if row.stitcher == "identity"]
    assert itself.penalty == 0.0
    assert itself.agreement == 100.0
    joined = [row for row in stitches if row.stitcher == "linear"]
    assert len(joined) == 2
    assert all(row.direct_error is not None for row in joined)
    assert len(rows) == 2 + 3 + 1
    a = next(row for row in rows if isinstance(row, ModelRow) and row.arch == "resnet18k")
    assert a.input == "16x16 bilinear, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"


def test_the_example_of_the_docs_runs(tmp_path: Path) -> None:
    """Run the job of docs/trained.md with a file in torchvision's layout, with fewer steps."""
    page = (Path(__file__).parents[3] / "docs" / "trained.md").read_text()
    (job,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.S) if block.startswith("name: probes")]
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    torch.save(make(RESNET, (3, 64, 64), 1000, seed=7).state_dict(), file)
    (tmp_path / "job.yaml").write_text(job)
    image = (3, 64, 64)
    probed.cache_card(Probed(RESNET, image, 10, check_cuts(make(RESNET, image, 10), image).card))
    steps = ["models.imagenet.steps=2", "models.own.steps=2", "stitch.0.steps=2", "stitch.1.steps=2"]
    batches = ["models.imagenet.batch=8", "models.own.batch=8", "stitch.0.batch=8", "stitch.1.batch=8"]
    sweep = load(tmp_path / "job.yaml", [*steps, *batches])
    rows = list(perform_sweep(sweep, {digest(file.read_bytes()): file.read_bytes()}))
    assert [type(row) for row in rows].count(StitchRow) == 2
    assert not [row for row in rows if isinstance(row, FailureRow)]
    assert len(rows) == 2 + 2 + 1
