"""Tests of `sweeper cuts` with built-in and external networks, and of the probing that a job needs."""

import json
import os
import sys

import pytest
import torch
from safetensors.torch import save_file

from sweeper.cli import cards, show
from sweeper.errors import JobError
from sweeper.plan.plan import Plan
from sweeper.spec.cards.card import Cut, NetworkLayout
from sweeper.spec.cards.probed import Probed, cache_card
from sweeper.spec.content import weights
from sweeper.spec.job.load import load, load_with_text
from sweeper.spec.records.ident import digest

SQUEEZE = "torchvision:squeezenet1_1"

NETS = """
from torch import nn


class Gate(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def gated(image, num_classes):
    last = nn.Linear(4, num_classes)
    return nn.Sequential(nn.Conv2d(image[0], 4, 3), Gate(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def root():
    return Gate()
"""


@pytest.fixture
def nets(tmp_path, monkeypatch) -> str:
    """Write a module with networks into the current folder, and return its name."""
    name = f"nets_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_a_setting_that_does_not_exist_is_named(sweeper):
    result = sweeper("cuts", "resnet18k", "widht=4")
    assert result.returncode == 2
    assert result.stderr == "error: 'widht=4': there is no setting 'widht'; did you mean 'width'?\n"


def test_the_cuts_of_a_torchvision_network_are_listed(sweeper):
    result = sweeper("cuts", "torchvision:squeezenet1_1", "--image", "3x32x32", "--classes", "10", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    output = json.loads(result.stdout)
    assert output["model"] == "torchvision:squeezenet1_1"
    assert set(output["cuts"][0]) == {"name", "position", "depth", "shape", "cost", "affine_top", "same_as"}
    assert [cut["position"] for cut in output["cuts"]] == list(range(1, len(output["cuts"]) + 1))
    fire = next(cut for cut in output["cuts"] if cut["name"] == "features.3")
    assert fire["shape"] == [128, 7, 7]
    assert "features.3 " in sweeper("cuts", "torchvision:squeezenet1_1", "--dataset", "cifar10").stdout


def test_a_weight_set_is_identified_by_its_file_after_the_first_use(sweeper, tmp_path, monkeypatch):
    """Put the file into torch's cache, so that nothing is downloaded."""
    from sweeper.trials.networks.traced.construct import make

    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = tmp_path / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    file.parent.mkdir(parents=True)
    torch.save(make(SQUEEZE, (3, 32, 32), 1000).state_dict(), file)
    arguments = ("cuts", SQUEEZE, "--image", "3x32x32", "--weights", "IMAGENET1K_V1")
    refused = sweeper(*arguments, "--classes", "10")
    assert refused.returncode == 2
    assert "have 1000 classes, the data set has 10" in refused.stderr
    assert weights.find_weights("IMAGENET1K_V1", SQUEEZE) is None
    result = sweeper(*arguments, "--classes", "1000")
    assert result.returncode == 0, result.stderr
    weight_set = weights.find_weights("IMAGENET1K_V1", SQUEEZE)
    assert weight_set
    assert weight_set.digest == digest(file.read_bytes())
    assert "don't depend on weights" in sweeper("cuts", "resnet18k", "width=2", "--weights", "a.pt").stderr


def test_a_plan_names_a_command_for_each_number_of_outputs(sweeper, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    groups = "[classes, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]]"
    random = 'random: {arch: "torchvision:squeezenet1_1", steps: 0, labels: ' + groups + "}"
    trained = 'trained: {arch: "torchvision:squeezenet1_1", steps: 0, weights: IMAGENET1K_V1}'
    (tmp_path / "external.yaml").write_text(f"name: external\ndataset: cifar10\nmodels:\n  {random}\n  {trained}\n")
    monkeypatch.setattr(cards, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr("sweeper.spec.content.downloads.can_reach_weights", lambda _: True)
    output = json.loads(sweeper("plan", "external.yaml", "--json").stdout)["unknown_cuts"]
    command = f"sweeper cuts {SQUEEZE} --image 3x32x32 --classes"
    assert output == {SQUEEZE: f"{command} 10 --weights IMAGENET1K_V1 && {command} 2"}
    assert "the weights of torchvision:squeezenet1_1 are not known yet" in sweeper("plan", "external.yaml").stdout
    for classes in (2, 10):
        cache_card(Probed(SQUEEZE, (3, 32, 32), classes, NetworkLayout((Cut("c", 1, 0.5, (4,), 20),), 30, 40)))
    sweep = load(tmp_path / "external.yaml", ["models.trained.weights=none"])
    assert sorted(card.classes for card in sweep.networks) == [2, 10]
    assert len(Plan.of(sweep).ids()) == 2, "trained and one of random are the same network"


def test_settings_are_given_with_or_without_the_option_set(sweeper):
    output = json.loads(sweeper("cuts", "resnet18k", "--set", "width=16", "--image", "1x12x12", "--json").stdout)
    assert output["cuts"][0]["shape"] == [16, 12, 12]
    assert output == json.loads(sweeper("cuts", "resnet18k", "width=16", "--image", "1x12x12", "--json").stdout)


def test_the_users_network_needs_trust(sweeper, nets):
    arguments = (f"{nets}:gated", "--image", "2x8x8", "--classes", "3", "--json")
    refused_result = sweeper("cuts", *arguments)
    assert (refused_result.returncode, refused_result.stdout) == (2, "")
    assert "--trust" in refused_result.stderr
    assert nets not in sys.modules
    result = sweeper("cuts", *arguments, "--trust")
    assert result.returncode == 0
    assert [cut["name"] for cut in json.loads(result.stdout)["cuts"]] == ["0", "1", "2", "3"]
    assert "there is no cut inside the module 1: " in result.stderr


def test_a_network_that_cannot_be_traced_is_refused(sweeper, nets):
    result = sweeper("cuts", f"{nets}:root", "--trust")
    assert (result.returncode, result.stdout) == (2, "")
    assert "Gate.forward can't be traced" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("torchvision:resnet19",), "did you mean 'torchvision:resnet18'?"),
        (("torchvision:resnet18", "width=3"), "takes no settings"),
        (("torchvision:resnet18", "--image", "32x32"), "3x224x224"),
        (("resnet18k", "--image", "0x8x8"), "3x224x224"),
        (("no.such.module:net", "--trust"), "No module named"),
    ],
)
def test_wrong_arguments_for_an_external_network_are_refused(sweeper, arguments, word):
    result = sweeper("cuts", *arguments)
    assert result.returncode == 2
    assert word in result.stderr


JOB = """
name: external
dataset: cifar10
models:
  random: {arch: "torchvision:squeezenet1_1", steps: 0, seed: [0, 1]}
stitch:
  - {bottom: random, top: random, layers: [features.3], where: a.seed != b.seed}
"""


@pytest.mark.slow
def test_loading_a_job_with_fetch_adds_the_cards_of_external_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "external.yaml"
    path.write_text(JOB)
    (card,) = load_with_text(path, fetch=cards.fetch)[0].networks
    assert (card.name, card.shape, card.classes) == ("torchvision:squeezenet1_1", (3, 32, 32), 10)
    assert "features.3" in [cut.name for cut in card.network.cuts]
    with pytest.raises(JobError, match=r"models\.random\.arch: .*did you mean 'torchvision:resnet18'"):
        load_with_text(path, ["models.random.arch=torchvision:resnet19"], fetch=cards.fetch)


LOUD = """
import os
from torch import nn

print("imported")
os.system("echo from a process")


class Loud(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(64, classes)
        print("built")

    def forward(self, x):
        print("called")
        return self.layer(x.flatten(1))


def net(num_classes):
    return Loud(num_classes)

"""


@pytest.mark.slow
def test_what_a_users_code_prints_goes_to_stderr(shell, tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    result = shell("sweeper cuts loud:net --trust --image 1x8x8 --classes 10 --json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["model"] == "loud:net"
    for word in ("imported", "built", "called", "from a process"):
        assert word in result.stderr


def test_prints_are_moved_only_while_a_users_code_runs(capfd):
    print("before")
    with show.prints_on_stderr():
        print("inside")
        os.system("echo process")
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert "inside" in err
    assert "process" in err


def test_a_cache_that_cannot_be_written_causes_a_warning(sweeper, nets, tmp_path):
    (tmp_path / "file").write_text("")
    arguments = (f"{nets}:gated", "--trust", "--image", "2x8x8", "--json")
    result = sweeper("cuts", *arguments, SWEEPER_CACHE=str(tmp_path / "file"))
    assert result.returncode == 0
    assert len(json.loads(result.stdout)["cuts"]) == 4
    assert "could not be saved" in result.stderr


def test_a_plan_names_the_command_that_finds_cuts_and_counts_tasks_after_it(sweeper, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "downloads" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "external.yaml").write_text(JOB)
    command = "sweeper cuts torchvision:squeezenet1_1 --image 3x32x32 --classes 10"
    monkeypatch.setattr(cards, "PROBE_SECONDS", 0.0)
    result = sweeper("plan", "external.yaml")
    assert result.returncode == 0
    assert command in result.stdout
    assert json.loads(sweeper("plan", "external.yaml", "--json").stdout)["unknown_cuts"] == {
        "torchvision:squeezenet1_1": command
    }
    assert sweeper(*command.split()[1:]).returncode == 0
    assert json.loads(sweeper("plan", "external.yaml", "--json").stdout)["stitches"]["tasks"] == 2


def test_a_plan_finds_the_cuts_of_networks_in_a_few_seconds(sweeper, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "downloads" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "external.yaml").write_text(JOB)
    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    assert json.loads(sweeper("plan", "external.yaml", "--json").stdout)["stitches"]["tasks"] == 2
    wrong = sweeper("plan", "external.yaml", "stitch.0.layers=features.99")
    assert wrong.returncode == 2
    assert "features.99" in wrong.stderr


@pytest.mark.parametrize(
    ("arch", "dataset", "words"),
    [
        ("torchvision:resnet19", "digits", ["models.random.arch", "did you mean 'torchvision:resnet18'?"]),
        ("torchvision:squeezenet1_1", "digits", ["models.random.arch", "takes images of 3 channels", "in_channels=1"]),
        ("timm:no_such_network", "digits", ["models.random.arch", "timm"]),
    ],
)
def test_a_plan_refuses_a_network_that_a_run_could_not_use(sweeper, tmp_path, monkeypatch, arch, dataset, words):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    (tmp_path / "external.yaml").write_text(JOB)
    result = sweeper("plan", "external.yaml", f"models.random.arch={arch}", f"dataset={dataset}")
    assert (result.returncode, result.stdout) == (2, "")
    assert [word for word in words if word not in result.stderr] == []


class TestCuts:
    def test_the_cuts_of_a_residual_network_are_listed(self, sweeper):
        output = json.loads(sweeper("cuts", "resnet18k", "width=8", "--dataset", "cifar10", "--json").stdout)
        assert [cut["name"] for cut in output["cuts"]] == ["conv1", *(f"block{i}" for i in range(1, 9)), "pool"]
        assert output["cuts"][0]["shape"] == [8, 32, 32]
        assert set(output["cuts"][0]) == {"name", "position", "depth", "shape", "cost", "affine_top", "same_as"}

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (("resnet18",), "did you mean 'resnet18k'?"),
            (("resnet18k", "depth=3"), "width"),
            (("resnet18k", "width=x"), "int"),
            (("resnet18k", "--dataset", "cifar"), "cifar10"),
            (("vit", "patch=3"), "patch 3 does not divide images of 8x8"),
        ],
    )
    def test_wrong_arguments_are_refused(self, sweeper, arguments, word):
        result = sweeper("cuts", *arguments)
        assert result.returncode == 2
        assert word in result.stderr


PRETRAINED_JOB = """
name: probes
dataset: digits
models:
  net: {arch: "torchvision:squeezenet1_1", weights: pretrained, input: weights, head: probe, steps: 5}
"""


def test_pretrained_weights_of_the_librarys_cache_are_planned_with_their_own_images(sweeper, tmp_path, monkeypatch):
    from sweeper.trials.networks.traced.construct import make

    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("sweeper.spec.content.downloads.can_reach_weights", lambda _: False)
    (tmp_path / "probes.yaml").write_text(PRETRAINED_JOB)
    refused = sweeper("plan", "probes.yaml")
    assert refused.returncode == 2
    url = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
    assert f"without internet access, download {url} elsewhere and name the file" in refused.stderr
    file = tmp_path / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(make(SQUEEZE, (3, 32, 32), 1000).state_dict(), file)
    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    result = sweeper("plan", "probes.yaml", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["models"]["tasks"] == 1
    sweep = load(tmp_path / "probes.yaml")
    (run,) = (model.training for model in Plan.of(sweep).models)
    assert run.image == (3, 224, 224)
    assert run.weights == digest(file.read_bytes())
    assert str(run.input).startswith("224x224 bilinear, mean 0.485")
    # The same file, and the same images in numbers: the same model.
    settings = "models.net.input={size: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
    named = load(tmp_path / "probes.yaml", [f"models.net.weights={file}", settings])
    assert Plan.of(named).ids() == Plan.of(sweep).ids()
    whole = sweeper("plan", "probes.yaml", "models.net.head=weights")
    assert whole.returncode == 2
    assert "`head: probe` draws a new last layer and trains it alone" in whole.stderr


def test_pretrained_weights_of_timm_are_planned(sweeper, tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("sweeper.spec.content.downloads.can_reach_weights", lambda _: False)
    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    repository = tmp_path / "hub" / "hub" / "models--timm--resnet10t.c3_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    save_file(timm.create_model("resnet10t").state_dict(), snapshot / "model.safetensors")
    (tmp_path / "probes.yaml").write_text(PRETRAINED_JOB.replace(SQUEEZE, "timm:resnet10t"))
    result = sweeper("plan", "probes.yaml", "--json")
    assert result.returncode == 0, result.stderr
    (run,) = (model.training for model in Plan.of(load(tmp_path / "probes.yaml")).models)
    assert str(run.input).startswith("176x176 bicubic, mean 0.485")
    assert run.weights == digest((snapshot / "model.safetensors").read_bytes())


def test_a_description_beside_a_file_is_read(tmp_path, monkeypatch):
    """timm's repositories hold a `config.json` beside the weights."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    config = {"input_size": [3, 48, 40], "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "x", "pretrained_cfg": config}))
    described = weights.described_input(str(tmp_path / "model.safetensors"), "timm:x")
    assert described == ((48, 40), (0.5,) * 3, (0.25,) * 3, "bicubic")
    (tmp_path / "config.json").write_text('{"pretrained_cfg": {"mean": 3}}')
    assert weights.described_input(str(tmp_path / "model.safetensors"), "timm:x") is None


def test_the_cuts_that_only_probe_are_listed_as_such(sweeper):
    cuts = json.loads(sweeper("cuts", "resnet18k", "--json").stdout)["cuts"]
    assert [cut["name"] for cut in cuts if cut["affine_top"]] == ["block8", "pool"]
    assert {cut["name"]: cut["same_as"] for cut in cuts if cut["same_as"]} == {"pool": "block8"}
