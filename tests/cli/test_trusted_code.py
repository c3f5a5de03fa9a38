"""Tests of jobs with networks in the user's code: they need trust, and the bytes of the module are in the ids."""

import json
import sys
from pathlib import Path

import pytest

from sweeper.cli import cards
from sweeper.errors import SweeperError
from sweeper.plan.plan import Plan
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Cut, NetworkLayout
from sweeper.spec.cards.probed import Probed
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, to_json
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, RunRow
from sweeper.store.store import Store
from sweeper.trials.perform import perform

NETS = """
from pathlib import Path
from torch import nn

Path("imported").touch()


def net(image, num_classes):
    return nn.Sequential(nn.Conv2d(image[0], 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, num_classes))
"""
CARD = NetworkLayout((Cut("1", 1, 0.5, (4, 6, 6), 10),), 20, 30)
CHANGED = NETS.replace("nn.ReLU", "nn.Tanh")


@pytest.fixture
def nets(sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module with a network into the current folder, and a job that names it; return the module's path."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(cards, "PROBE_SECONDS", 120.0)  # a busy machine needs more than the few seconds of a plan
    module = tmp_path / f"mine_{tmp_path.name}.py"
    module.write_text(NETS)
    family = f'm: {{arch: "{module.stem}:net", steps: 0}}'
    (tmp_path / "job.yaml").write_text(f"name: mine\nmodels:\n  {family}\n")
    return module


def test_without_trust_the_job_is_refused_and_nothing_is_imported(sweeper, nets: Path, tmp_path: Path) -> None:
    for command in ("plan", "run"):
        result = sweeper(command, "job.yaml")
        assert result.returncode == 2
        assert (
            f"job.yaml:3:13 models.m.arch: {nets.stem}:net runs code that is not part of Sweeper; --trust"
            in result.stderr
        )
    assert not (tmp_path / "imported").exists()


def test_planning_a_trusted_job_imports_its_code_only_in_another_process(
    sweeper, nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    assert sweeper("plan", "job.yaml", "--trust").returncode == 0
    assert (tmp_path / "imported").exists()
    assert nets.stem not in sys.modules
    nets.write_text(NETS.replace("image[0], 4", "image[0], 5"))
    result = sweeper("plan", "job.yaml", "--trust")
    assert result.returncode == 2
    assert "models.m.arch: " in result.stderr


def test_a_network_whose_parameters_are_all_frozen_is_refused_by_plan_if_it_is_to_be_trained(
    sweeper, nets: Path, tmp_path: Path
) -> None:
    frozen = NETS.replace("return ", "network = ") + "    return network.requires_grad_(False)\n"
    nets.write_text(frozen)
    assert sweeper("plan", "job.yaml", "--trust").returncode == 0
    result = sweeper("plan", "job.yaml", "--trust", "models.m.steps=0,3")
    assert result.returncode == 2
    assert f"models.m.arch: all parameters of {nets.stem}:net are frozen, so nothing can be trained" in result.stderr
    assert "requires_grad" in result.stderr


@pytest.mark.parametrize(("output", "kind"), [("(y, y)", "a tuple of 2 values"), ("{'logits': y}", "a dictionary")])
def test_a_network_without_a_tensor_of_logits_is_refused_by_plan(sweeper, nets: Path, output: str, kind: str) -> None:
    module = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, image, classes):\n        super().__init__()\n"
        "        self.last = nn.Linear(image[1] * image[2], classes)\n\n"
        f"    def forward(self, x):\n        y = self.last(x.flatten(1))\n        return {output}\n\n\n"
        "def net(image, num_classes):\n    return Net(image, num_classes)\n"
    )
    nets.write_text(module)
    result = sweeper("plan", "job.yaml", "--trust")
    assert result.returncode == 2
    assert f"models.m.arch: Net returns {kind}" in result.stderr


def test_a_misspelt_library_gets_a_suggestion(sweeper, nets: Path) -> None:
    result = sweeper("plan", "job.yaml", "models.m.arch=torchvison:resnet18")
    assert result.returncode == 2
    assert "did you mean 'torchvision:resnet18'?" in result.stderr


def test_a_plan_without_time_for_a_network_names_the_command(
    sweeper, nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "PROBE_SECONDS", 0.0)
    command = f"sweeper cuts {nets.stem}:net --image 1x8x8 --classes 10 --trust"
    assert command in sweeper("plan", "job.yaml", "--trust").stdout
    assert not (tmp_path / "imported").exists()
    assert sweeper(*command.split()[1:]).returncode == 0
    assert (tmp_path / "imported").exists()
    assert json.loads(sweeper("plan", "job.yaml", "--trust", "--json").stdout)["models"]["tasks"] == 1
    nets.write_text(CHANGED)
    assert "not known yet" in sweeper("plan", "job.yaml", "--trust").stdout, "a changed file is another network"


def test_a_missing_module_is_refused(sweeper, nets: Path) -> None:
    result = sweeper("plan", "job.yaml", "models.m.arch=nowhere.at_all:net", "--trust")
    assert result.returncode == 2
    assert "no module 'nowhere.at_all'" in result.stderr


def test_the_bytes_of_the_module_are_in_the_id(nets: Path, tmp_path: Path) -> None:
    def model() -> str:
        probed.cache_card(Probed(f"{nets.stem}:net", (1, 8, 8), 10, CARD))
        return Plan.of(load(tmp_path / "job.yaml", trust=True)).models[0].id

    (code,) = load(tmp_path / "job.yaml", trust=True).code
    assert code.digest == digest(NETS.encode())
    first = model()
    nets.write_text(CHANGED)
    assert model() != first
    nets.write_text(NETS)
    assert model() == first


def test_a_plan_of_code_that_was_not_trusted_is_refused(nets: Path, tmp_path: Path) -> None:
    sweep = load(tmp_path / "job.yaml", trust=True)
    assert from_json(to_json(sweep)) == sweep
    with pytest.raises(SweeperError, match="trust=True"):
        Plan.of(sweep.model_copy(update={"code": ()}))


def test_a_trusted_network_is_performed_until_its_module_changes(nets: Path, tmp_path: Path) -> None:
    probed.cache_card(Probed(f"{nets.stem}:net", (1, 8, 8), 10, CARD))
    (pack,) = Plan.of(load(tmp_path / "job.yaml", trust=True)).packs()
    (outcome,) = perform(pack, {}.__getitem__)
    assert isinstance(outcome.rows[-1], ModelRow), outcome.rows[-1]
    assert outcome.rows[-1].arch == f"{nets.stem}:net"
    nets.write_text(CHANGED)
    (outcome,) = perform(pack, {}.__getitem__)
    assert isinstance(outcome.rows[-1], FailureRow)
    assert "changed after the job was loaded" in outcome.rows[-1].message


def test_resuming_a_stored_job_needs_trust_again(sweeper, nets: Path, tmp_path: Path) -> None:
    resolved = to_json(load(tmp_path / "job.yaml", trust=True))
    store = Store.open(str(tmp_path / "store"), create=True)
    counts = {"outcome": "", "tasks": 1, "done_before": 0, "done": 0, "failed": 0}
    row = RunRow(
        task="r", run="r", job="mine", event="start", host="h", pid=1, job_given="", job_resolved=resolved, **counts
    )
    store.commit([row], run="r", worker="driver")
    result = sweeper("resume", "--store", "store")
    assert result.returncode == 2
    assert f"({nets.stem}:net); --trust allows it" in result.stderr
    assert not (tmp_path / "imported").exists()


def test_a_setting_of_a_callable_in_a_module_is_refused_with_the_name_that_has_settings(sweeper, nets: Path) -> None:
    result = sweeper("plan", "job.yaml", "models.m.width=3", "--trust")
    assert result.returncode == 2
    assert f"{nets.stem}:net has no setting 'width'" in result.stderr
    assert f"named by its file ({nets.stem}.py:net) are settings" in result.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("x = 1\n1 / 0\n", ":2: ZeroDivisionError: division by zero"),
        ("def :\n", ":1: SyntaxError: "),
        ("", "no network"),
    ],
)
def test_an_error_in_a_module_is_one_sentence_with_its_place(sweeper, nets: Path, content: str, problem: str) -> None:
    nets.write_text(content)
    result = sweeper("cuts", f"{nets.stem}:net", "--trust")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert problem in line
