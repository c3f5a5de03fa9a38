"""Tests that all kinds of tasks run on a device other than the CPU, simulated by `support/other_device.py`."""

import pytest
import torch
from support.other_device import DEVICE, simulated_device
from support.packs import WEIGHTS, cuts, model, pack, stitch
from support.training_runs import DIGITS, training_run

from sweeper.spec.records.rows import FailureRow, ModelRow, StitchRow
from sweeper.spec.records.task import Model, Pack, TrainPack
from sweeper.trials.device_check import compare_device
from sweeper.trials.perform import perform

# The operations that have no deterministic kernel on a GPU (the docs of `torch.use_deterministic_algorithms` 2.14).
NOT_DETERMINISTIC = {
    "_adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward",
    "bincount.weights",
    "cumsum",
    "grid_sampler_2d_backward",
    "histc",
    "median.dim",
    "nll_loss2d_forward",
    "put_",
    "reflection_pad2d_backward",
    "scatter_add_",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
}
LOW_HIGH = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
A, B = model(1, arch="myrtle", steps=10), model(2, arch="vit", steps=10)
C = model(3, arch="myrtle", steps=10, labels=LOW_HIGH)


def receipts(pack: Pack) -> list[ModelRow | StitchRow]:
    """Perform a pack on the other device and return its result rows; fail with the traceback of a failed task."""
    with simulated_device() as operations:
        result_rows = [outcome.rows[-1] for outcome in perform(pack, WEIGHTS.__getitem__, DEVICE)]
    assert not (failed := [row.traceback for row in result_rows if isinstance(row, FailureRow)]), failed[0]
    assert {row.device for row in result_rows} == {"meta"}
    assert not NOT_DETERMINISTIC & set(operations)
    return [row for row in result_rows if isinstance(row, ModelRow | StitchRow)]


def test_operations_on_tensors_of_two_devices_raise() -> None:
    with simulated_device():
        x = torch.arange(6.0).view(2, 3).to(DEVICE)
        assert x.device == DEVICE
        assert float((x @ x.T).sum()) == 83.0  # 5 + 14 + 14 + 50
        assert torch.equal((2 * x + torch.tensor(1.0)).cpu(), 2 * torch.arange(6.0).view(2, 3) + 1)
        assert torch.equal(torch.tensor([1.0, 2.0], device=DEVICE).cpu(), torch.tensor([1.0, 2.0]))
        for mixed_operation in (
            lambda: x + torch.ones(2, 3),
            lambda: torch.ones(2, 3) @ x.T,
            lambda: x[torch.tensor([1])],
            lambda: torch.cat([x, torch.ones(2, 3)]),
            lambda: torch.nn.Linear(3, 1)(x),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                mixed_operation()
        with pytest.raises((RuntimeError, TypeError)):
            x.numpy()


def test_a_stitch_on_the_other_device_has_the_results_of_the_cpu() -> None:
    stitches = [
        stitch(A, A, cuts("myrtle")[1], steps=2),
        stitch(A, A, cuts("myrtle")[1], protocol="paper", steps=2, lr=1e-3),
    ]
    outcomes = perform(pack(stitches), WEIGHTS.__getitem__, "cpu")
    cpu_rows = {outcome.rows[-1].task: outcome.rows[-1] for outcome in outcomes}
    for row in receipts(pack(stitches)):
        cpu_row = cpu_rows[row.task]
        assert isinstance(cpu_row, StitchRow)
        assert isinstance(row, StitchRow)
        assert row.test_loss == pytest.approx(cpu_row.test_loss, rel=1e-3)
        assert row.drift == pytest.approx(cpu_row.drift, rel=1e-3, abs=1e-6)
        assert abs(row.test_error - cpu_row.test_error) <= 0.5


@pytest.mark.parametrize("places", ["pool", "bilinear", "nearest"])
def test_an_adapter_between_different_places_runs(places: str) -> None:
    (row,) = receipts(
        pack([stitch(A, B, cuts("myrtle")[0], cuts("vit")[1], "adapter", steps=1, options=(("places", places),))])
    )
    assert isinstance(row, StitchRow)


def test_label_codes_grouped_labels_crops_and_the_tops_images_run() -> None:
    cut = cuts("myrtle")[1]
    stitches = [
        stitch(A, A, cut, sender="label", steps=1),
        stitch(A, C, cut, steps=1),
        stitch(A, A, cut, steps=1, augment="crop_flip"),
        stitch(A, A, cut, steps=1, data="top"),
    ]
    assert len(receipts(pack(stitches))) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "myrtle", "options": (("width", 8),), "objective": "simclr", "temperature": 0.5, "probe_steps": 2},
        {"arch": "mlp", "options": (("depth", 2), ("width", 32)), "augment": "crop_flip", "label_noise": 0.1},
        {"arch": "vit", "options": B.training.options, "label_smoothing": 0.1, "labels": LOW_HIGH},
    ],
    ids=["simclr", "crops and noise", "groups"],
)
def test_training_runs_of_every_kind_run(changes: dict[str, object]) -> None:
    training = training_run(**({"steps": 2, "data": DIGITS} | changes))
    (row,) = receipts(TrainPack("p", training, (Model("m", training, 2),), 1.0))
    assert isinstance(row, ModelRow)
    assert row.train_loss is not None


@pytest.mark.slow
def test_the_device_check_finds_no_difference_to_the_cpu() -> None:
    with simulated_device() as operations:
        differences = list(compare_device(DEVICE))
    assert not [difference for difference in differences if not difference.within_tolerance]
    assert not NOT_DETERMINISTIC & set(operations)
    assert len(differences) > 40
