"""Tests of the names of torchvision's and timm's networks, which are checked without importing a library."""

import importlib.util
import subprocess
import sys

import pytest

from sweeper.spec.cards import library_networks
from sweeper.spec.cards.library_networks import library_misfit


def test_the_names_are_those_that_torchvision_lists():
    from torchvision import models

    assert library_networks._torchvision_names() == set(models.list_models(module=models))


@pytest.mark.parametrize(
    ("arch", "image", "problem", "correction"),
    [
        ("torchvision:resnet5O", None, "no network 'torchvision:resnet5O'", "did you mean 'torchvision:resnet50'?"),
        ("torchvision:", None, "no network 'torchvision:'", ""),
        ("torchvision:zzz", (3, 8, 8), "no network 'torchvision:zzz'", ""),
        (
            "torchvision:resnet18",
            (1, 8, 8),
            "takes images of 3 channels, and it would get 1",
            "input: {mean: [0.5, 0.5, 0.5]",
        ),
        ("torchvision:resnet18", (4, 8, 8), "takes images of 3 channels, and it would get 4", "timm:NAME"),
        ("torchvision:resnet18", (3, 8, 8), "", ""),
        ("torchvision:resnet18", None, "", ""),
        ("package.module:net", (1, 8, 8), "", ""),
        ("resnet18k", (1, 8, 8), "", ""),
    ],
)
def test_a_network_that_cannot_be_built_is_explained(arch, image, problem, correction):
    stated_problem, stated_correction = library_misfit(arch, image) or ("", "")
    assert (problem in stated_problem, bool(problem)) == (True, bool(stated_problem))
    assert (correction in stated_correction, bool(correction)) == (True, bool(stated_correction))


def test_a_missing_timm_is_named_with_the_command_that_installs_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "timm" else find(name))
    assert library_misfit("timm:resnet18", (3, 8, 8)) == (
        "timm is not installed", "pip install 'sweeper-stitching[timm]'"
    )  # fmt: skip
    assert library_misfit("torchvision:resnet18", (3, 8, 8)) is None


def test_torch_is_not_imported():
    code = (
        "import sys; from sweeper.spec.cards.library_networks import library_misfit;"
        "library_misfit('torchvision:resnet5O', None); assert not {'torch', 'torchvision', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
