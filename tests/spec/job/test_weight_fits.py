"""Tests of the check of files of weights when a job is loaded: each file is read, or refused with place and reason."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sweeper.errors import JobError
from sweeper.spec.job import weight_fits
from sweeper.spec.job.check import resolve_and_check
from sweeper.spec.job.load import load
from sweeper.spec.job.sweep import Sweep
from sweeper.trials.networks.archs import build

JOB = "name: files\nmodels:\n  m: {arch: resnet18k, width: 2, steps: 0, weights: good.pt}\n"


def network(classes: int = 10, width: int = 2) -> nn.Module:
    return build("resnet18k", {"width": width}, (1, 8, 8), classes)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a job whose weights fit, and files of weights beside it, and return the job."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    state = network().state_dict()
    torch.save(state, tmp_path / "good.pt")
    torch.save(
        {"model": {f"module.{name}": tensor.half() for name, tensor in state.items()}}, tmp_path / "half.pth.tar"
    )
    save_file(state, tmp_path / "good.safetensors")
    torch.save(network(classes=1000).state_dict(), tmp_path / "classes.pt")
    torch.save(network(width=3).state_dict(), tmp_path / "wide.ckpt")
    state["stages.conv1.weight"][0] = torch.nan
    save_file(state, tmp_path / "nan.safetensors")
    torch.save(network(), tmp_path / "whole.pth")
    (tmp_path / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path / "job.yaml"


def mistakes(job: Path, *overrides: str) -> list[str]:
    with pytest.raises(JobError) as caught:
        load(job, overrides)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize("file", ["good.pt", "half.pth.tar", "good.safetensors"])
def test_weights_that_fit_are_accepted_and_checked_once(job: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = load(job, [f"models.m.weights={file}"])
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a file that fits is not read again"))
    assert load(job, [f"models.m.weights={file}"]) == sweep


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("classes.pt", "1000 classes, the network has 10): stages.linear.weight is 1000x16, the network's 10x16"),
        ("wide.ckpt", "stages.conv1.weight is 3x1x3x3, the network's 2x1x3x3"),
        ("nan.safetensors", "in stages.conv1.weight 9 of 18 values are not finite numbers"),
        ("whole.pth", "is a whole pickled network of the class"),
        ("pointer.pt", "is a pointer of Git LFS, not the file itself; `git lfs pull` fetches it"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_file_key_and_shapes(job: Path, file: str, what: str) -> None:
    (mistake,) = mistakes(job, f"models.m.weights={file}")
    assert what in mistake
    assert str(job.parent / file) in mistake
    assert "\x1b" not in mistake


def test_of_nine_files_the_one_that_does_not_fit_is_named(job: Path) -> None:
    files = ["good.pt", "good.safetensors", "half.pth.tar"] * 3
    files[6] = "classes.pt"
    job.write_text(JOB.replace("good.pt", f"[{', '.join(files)}]"))
    (mistake,) = mistakes(job)
    assert "job.yaml:3:" in mistake
    assert f"models.m.weights.6: {job.parent}/classes.pt: " in mistake


def test_every_file_that_does_not_fit_is_listed(job: Path) -> None:
    assert len(mistakes(job, "models.m.weights=[classes.pt, good.pt, wide.ckpt, nan.safetensors]")) == 3


def test_zipped_files_are_checked_against_their_own_networks(job: Path) -> None:
    weights, zipped = "models.m.weights=[good.pt, wide.ckpt]", "models.m.zip=[width, weights]"
    load(job, [weights, "models.m.width=[2, 3]", zipped])
    assert len(mistakes(job, weights, "models.m.width=[3, 2]", zipped)) == 2


@pytest.mark.parametrize("reset", ["ends", "ends_torch"])
def test_new_ends_accept_weights_of_other_classes(job: Path, reset: str) -> None:
    load(job, ["models.m.weights=classes.pt", f"models.m.reset={reset}"])


def test_a_job_made_in_python_is_checked_too(job: Path) -> None:
    family = {"arch": "resnet18k", "width": 2, "steps": 0, "weights": str(job.parent / "wide.ckpt")}
    with pytest.raises(JobError, match=r"wide\.ckpt: the weights don't fit"):
        resolve_and_check(Sweep.model_validate({"name": "python", "models": {"m": family}}))


def test_a_file_that_is_gone_is_not_checked_again(job: Path) -> None:
    sweep = load(job)
    (job.parent / "good.pt").unlink()
    assert weight_fits.weight_findings(sweep) == []


def test_what_a_users_module_prints_does_not_reach_the_answers(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = job.parent / f"loud_{job.parent.name}.py"
    module.write_text(
        "import os\nfrom torch import nn\nprint('loud')\nos.system('echo louder')\n"
        "def net(image, num_classes):\n    print('building')\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.chdir(job.parent)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 7)).state_dict(), job.parent / "seven.pt")
    job.write_text(JOB.replace("resnet18k, width: 2", f'"{module.stem}:net"').replace("good.pt", "seven.pt"))
    with pytest.raises(JobError, match="they have 7 classes, the network has 10"):
        load(job, trust=True)


def test_questions_are_answered_in_json(job: Path) -> None:
    """The process answers each question in order."""
    question = {"arch": "resnet18k", "options": [["width", 2]], "image": [1, 8, 8], "classes": 10, "reset": "none"}
    questions = [{**question, "path": str(job.parent / file)} for file in ("good.pt", "wide.ckpt")]
    command = [sys.executable, "-m", weight_fits.CHECK]
    process = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=True)
    good, wide = json.loads(process.stdout)
    assert good == ""
    assert "the weights don't fit" in wide


def test_a_file_whose_last_layer_alone_differs_is_refused_with_a_way_to_use_it(job: Path) -> None:
    state = network().state_dict()
    without_head = {name: tensor for name, tensor in state.items() if "linear" not in name}
    save_file(without_head, job.parent / "backbone.safetensors")
    for file in ("classes.pt", "backbone.safetensors"):
        (mistake,) = mistakes(job, f"models.m.weights={file}")
        assert "all layers but the last fit; `head: probe` draws a new last layer and trains it alone" in mistake
        load(job, [f"models.m.weights={file}", "models.m.reset=head"])
        load(job, [f"models.m.weights={file}", "models.m.head=probe", "models.m.steps=5"])
    (mistake,) = mistakes(job, "models.m.weights=wide.ckpt", "models.m.reset=head")
    assert "stages.conv1.weight is 3x1x3x3" in mistake
