"""Tests of numerical settings: they apply only while a pack computes."""

import os
from collections.abc import Iterator

import pytest
import torch
from support.packs import WEIGHTS, cuts, model, pack, rows, stitch, weights
from torch import Tensor, nn

from sweeper.errors import SweeperError
from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.spec.records.task import TrainPack
from sweeper.trials.perform import perform
from sweeper.trials.process import numerics
from sweeper.trials.process.numerics import Numerics, autocast_step, choose_numerics, run_with_numerics

CPU = torch.device("cpu")
A, B = model(1, arch="mlp", steps=20), model(2, arch="mlp", steps=20)
CUTS = cuts("mlp")


def flags() -> tuple[object, ...]:
    backends = torch.backends
    return (
        torch.are_deterministic_algorithms_enabled(),
        backends.cudnn.deterministic,
        backends.cudnn.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )


@pytest.fixture
def two_threads() -> Iterator[None]:
    original_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(original_threads)


@pytest.mark.parametrize("deterministic", [True, False])
def test_settings_apply_only_while_the_pack_computes(two_threads: None, deterministic: bool) -> None:
    flags_before, flags_in_pack = flags(), []

    def work() -> Iterator[int]:
        for item in range(2):
            flags_in_pack.append(flags())
            yield item
        flags_in_pack.append(flags())
        raise ValueError("an error of the pack")

    outcomes = run_with_numerics(Numerics(CPU, deterministic=deterministic), work())
    for _ in range(2):
        next(outcomes)
        assert flags() == flags_before
    with pytest.raises(ValueError, match="an error of the pack"):
        next(outcomes)
    assert flags() == flags_before
    assert flags_in_pack == [(deterministic, deterministic, False, False)] * 3


def test_perform_computes_with_the_settings(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    flags_before, flags_in_pack = flags(), []
    monkeypatch.setattr(nn.Linear, "forward", _calling(nn.Linear.forward, lambda: flags_in_pack.append(flags())))
    rows(pack([stitch(A, B, CUTS[0], steps=1)]))
    assert set(flags_in_pack) == {(True, True, False, False)}
    assert flags() == flags_before


def test_one_cpu_thread_needs_no_setting() -> None:
    assert torch.get_num_threads() == 1 or Numerics(CPU).needs_deterministic_algorithms
    assert Numerics(torch.device("cuda")).needs_deterministic_algorithms
    assert not Numerics(torch.device("cuda"), deterministic=False).needs_deterministic_algorithms


def test_cublas_is_configured_before_it_allocates_its_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    list(run_with_numerics(Numerics(CPU), [1]))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    list(run_with_numerics(Numerics(CPU), [1]))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "the value that the user has set"


def test_auto_is_bfloat16_on_a_gpu_that_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, value=supported: value)
        assert choose_numerics(gpu, "auto", True).bfloat16 is supported
        assert not choose_numerics(gpu, "float32", True).bfloat16
        assert not choose_numerics(CPU, "auto", True).bfloat16


def test_bfloat16_without_hardware_for_it_is_refused_at_the_call() -> None:
    with pytest.raises(SweeperError, match="precision: cpu has no bfloat16 in hardware; choose float32 or auto"):
        perform(pack([stitch(A, B, CUTS[0])]), WEIGHTS.__getitem__, "cpu", precision="bfloat16")


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the steps in bfloat16, on a CPU."""
    monkeypatch.setattr(numerics, "choose_numerics", lambda device, *_: Numerics(device, bfloat16=True))


def test_a_model_trained_in_bfloat16_has_float32_weights_and_records_the_precision(bfloat16: None) -> None:
    (outcome,) = perform(TrainPack("p", A.training, (A,), 1.0), WEIGHTS.__getitem__, "cpu")
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow), row
    assert row.device == "cpu, bfloat16"
    assert outcome.weights is not None
    assert outcome.weights != WEIGHTS[weights(A)]
    assert row.train_loss is not None
    assert b"BF16" not in outcome.weights[:4000], "a dtype of safetensors"


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_only_training_steps_are_in_bfloat16(protocol: str, augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stitch_task = stitch(A, B, CUTS[-2], protocol=protocol, augment=augment, steps=20)
    for trained_model in (A, B):  # trained here, before the precision changes
        weights(trained_model)
    float32_row = _row(stitch_task)
    monkeypatch.setattr(numerics, "choose_numerics", lambda device, *_: Numerics(device, bfloat16=True))
    records: set[tuple[bool, torch.dtype]] = set()
    monkeypatch.setattr(nn.Linear, "forward", _recording(nn.Linear.forward, records))
    row = _row(stitch_task)
    assert {dtype for in_step, dtype in records if in_step} == {torch.bfloat16}
    assert {dtype for in_step, dtype in records if not in_step} == {torch.float32}
    assert (row.a_loss, row.b_loss, row.direct_loss) == (
        float32_row.a_loss,
        float32_row.b_loss,
        float32_row.direct_loss,
    )
    assert row.train_loss != float32_row.train_loss
    assert row.train_loss == pytest.approx(float32_row.train_loss, rel=0.02)
    assert abs(row.test_error - float32_row.test_error) <= 1.5


def test_outside_a_pack_steps_are_float32() -> None:
    with autocast_step():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32


def _row(task: object) -> StitchRow:
    """Perform a stitch in a pack of its own and return its row."""
    (task_rows,) = rows(pack([task])).values()  # type: ignore[list-item]
    row = task_rows[-1]
    assert isinstance(row, StitchRow), row
    return row


def _calling(forward, callback):
    """Return a `forward` that first calls a function without arguments."""

    def forward_with_callback(self: nn.Module, x: Tensor) -> Tensor:
        callback()
        return forward(self, x)

    return forward_with_callback


def _recording(forward, records: set[tuple[bool, torch.dtype]]):
    """Return a `forward` that records whether autocast is on and the dtype of the output."""

    def recorded_forward(self: nn.Module, x: Tensor) -> Tensor:
        out = forward(self, x)
        records.add((torch.is_autocast_enabled("cpu"), out.dtype))
        return out

    return recorded_forward
