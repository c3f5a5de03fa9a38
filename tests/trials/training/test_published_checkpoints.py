"""Tests of the layouts in which ResNets for ImageNet are published, and a run of the job that reads them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from support.published_checkpoints import published, write_image_folder, write_published

from sweeper.errors import NetworkError
from sweeper.trials.networks.state_dicts import fill
from sweeper.trials.networks.weight_files import read_state_dict

LAYOUTS = ["supervised", "swav", "dino", "dino-full", "simclr"]


def file_of(layout: str) -> bytes:
    content = io.BytesIO()
    torch.save(published(layout, "resnet18", seed=3), content)
    return content.getvalue()


def resnet18(classes: int) -> torch.nn.Module:
    torch.manual_seed(8)
    return torchvision.models.resnet18(num_classes=classes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_published_file_gives_all_layers_but_a_new_head(layout: str) -> None:
    network, expected = resnet18(classes=3), published("supervised", "resnet18", seed=3)
    fresh_head = network.fc.weight.detach().clone()
    fill(network, read_state_dict(file_of(layout)), new_head=True)
    state = network.state_dict()
    assert torch.equal(state["fc.weight"], fresh_head)
    for name in ("conv1.weight", "layer4.1.bn2.running_var", "layer3.0.downsample.0.weight"):
        tensor = expected[name]
        assert isinstance(tensor, torch.Tensor)
        assert torch.equal(state[name], tensor.float())


@pytest.mark.parametrize("layout", ["swav", "dino", "dino-full"])
def test_a_published_file_without_a_head_is_refused_for_a_whole_network(layout: str) -> None:
    with pytest.raises(NetworkError, match="they lack "):
        fill(resnet18(classes=1000), read_state_dict(file_of(layout)))


def test_a_new_head_does_not_excuse_layers_of_another_network() -> None:
    deeper = torchvision.models.resnet34(num_classes=3).state_dict()
    with pytest.raises(NetworkError, match=r"the network lacks layer1\.2\."):
        fill(resnet18(classes=3), deeper, new_head=True)


@pytest.mark.slow
def test_the_small_job_of_figure_2b_runs_with_published_layouts(tmp_path: Path) -> None:
    """Run the job with ResNet-18s, a few steps and three classes of small images."""
    write_published(tmp_path / "checkpoints", "resnet18")
    write_image_folder(tmp_path / "images", classes=3, train=60, val=30, size=16)
    folders = {"SWEEPER_CHECKPOINTS": str(tmp_path / "checkpoints"), "SWEEPER_IMAGENETTE": str(tmp_path / "images")}
    store, heads = str(tmp_path / "store"), ("top", "swav", "dino", "simclr")
    overrides = [f"models.{name}.arch=torchvision:resnet18" for name in (*heads, "random")]
    overrides += [f"models.{name}.{setting}" for name in heads for setting in ("steps=3", "batch=16")]
    overrides += ["stitch.0.layers=[layer1.1,layer2.1,layer3.1,layer4.1]", "stitch.0.steps=5"]

    def sweeper(*words: str) -> str:
        command = [sys.executable, "-m", "sweeper", *words]
        done = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    sweeper("run", "paper/self-supervised.small", *overrides, "--store", store)
    question = "SELECT count(*) AS n, count(DISTINCT a) AS bottoms FROM stitches"
    assert json.loads(sweeper("sql", question, "--store", store, "--json")) == [{"n": 24, "bottoms": 6}]
