"""Tests of compiled training steps: close to eager steps, repeatable to the bit, an error without a compiler."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from support.training_runs import training_run
from torch import nn

from sweeper.spec.records.rows import FailureRow, ModelRow
from sweeper.spec.records.task import Model, TrainPack
from sweeper.trials.perform import Outcome, perform
from sweeper.trials.process.compiled import compile_forward
from sweeper.trials.process.numerics import Numerics, apply_numerics

MLP = (("depth", 2), ("width", 32))


@pytest.fixture(autouse=True, scope="module")
def empty_kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Store compiled kernels in a temporary folder, so that none of an earlier test run are reused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def compiler() -> None:
    """Skip the test on a machine without a C++ compiler."""
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")


def train_briefly(compile: bool, **changes: object) -> Outcome:
    """Return the outcome of a short training run."""
    training = training_run(**{"steps": 4, "arch": "mlp", "options": MLP} | changes)
    pack = TrainPack("p", training, (Model("m", training, training.steps),), 1.0)
    (outcome,) = perform(pack, lambda _: b"", "cpu", compile=compile)
    return outcome


def receipt(outcome: Outcome) -> ModelRow:
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow), row
    return row


def test_nothing_is_compiled_unless_requested() -> None:
    network = nn.Linear(2, 2)
    assert compile_forward(network) is network, "outside a pack"
    with apply_numerics(Numerics(torch.device("cpu"))):
        assert compile_forward(network) is network


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"arch": "myrtle", "options": (("width", 4),), "augment": "crop_flip"},
        {"arch": "mlp", "options": MLP, "objective": "simclr", "temperature": 0.5, "probe_steps": 2},
    ],
    ids=["mlp", "myrtle", "simclr"],
)
def test_a_compiled_run_equals_the_uncompiled_one_within_noise_and_repeats_exactly(
    compiler: None, changes: dict[str, object]
) -> None:
    eager, compiled, second_compiled = (train_briefly(compile, **changes) for compile in (False, True, True))
    assert compiled.weights != eager.weights, "the same kernels: nothing was compiled"
    assert compiled.weights == second_compiled.weights
    assert receipt(compiled).train_loss == pytest.approx(receipt(eager).train_loss, rel=1e-5)
    assert abs(receipt(compiled).test_error - receipt(eager).test_error) <= 0.5


@pytest.mark.slow
def test_an_earlier_run_does_not_change_a_compiled_run(compiler: None) -> None:
    weights = train_briefly(True).weights
    for batch in (8, 16):  # a change of shape would make torch compile for any shape
        train_briefly(True, batch=batch)
    assert train_briefly(True).weights == weights


@pytest.mark.slow
def test_without_a_compiler_a_run_fails_and_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/such/compiler"))
    row = train_briefly(True).rows[-1]
    assert isinstance(row, FailureRow)
    assert row.message.startswith("engine.compile: torch can't compile this network for cpu (InvalidCxxCompiler: ")
    assert row.message.endswith("; set engine.compile to false")
