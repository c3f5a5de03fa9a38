"""The whole of this room on a device that isn't the CPU (`elsewhere.py`): nothing lands in the wrong place."""

import pytest
import torch
from support.other_device import DEVICE, elsewhere
from support.packs import WEIGHTS, cuts, model, pack, stitch
from support.training_runs import DIGITS, a_run

from sweeper.spec.records.rows import FailureRow, ModelRow, StitchRow
from sweeper.spec.records.task import Model, Pack, TrainPack
from sweeper.trials.device_check import compare_device
from sweeper.trials.perform import perform

# What torch 2.14 says has no deterministic kernel on a GPU (`torch.use_deterministic_algorithms`), as operations.
UNORDERED = {
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


def receipts(of: Pack) -> list[ModelRow | StitchRow]:
    """Return the result rows from the other device; fail with a task's traceback."""
    with elsewhere() as seen:
        found = [outcome.rows[-1] for outcome in perform(of, WEIGHTS.__getitem__, DEVICE)]
    assert not (failed := [row.traceback for row in found if isinstance(row, FailureRow)]), failed[0]
    assert {row.device for row in found} == {"meta"}
    assert not UNORDERED & set(seen)
    return [row for row in found if isinstance(row, ModelRow | StitchRow)]


def test_tensors_of_two_places_do_not_meet_elsewhere_and_values_are_kept() -> None:
    with elsewhere():
        x = torch.arange(6.0).view(2, 3).to(DEVICE)
        assert x.device == DEVICE
        assert float((x @ x.T).sum()) == 83.0  # 5 + 14 + 14 + 50
        assert torch.equal((2 * x + torch.tensor(1.0)).cpu(), 2 * torch.arange(6.0).view(2, 3) + 1)
        assert torch.equal(torch.tensor([1.0, 2.0], device=DEVICE).cpu(), torch.tensor([1.0, 2.0]))
        for wrong in (
            lambda: x + torch.ones(2, 3),
            lambda: torch.ones(2, 3) @ x.T,
            lambda: x[torch.tensor([1])],
            lambda: torch.cat([x, torch.ones(2, 3)]),
            lambda: torch.nn.Linear(3, 1)(x),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                wrong()
        with pytest.raises((RuntimeError, TypeError)):
            x.numpy()


def test_a_stitch_elsewhere_is_the_stitch_here() -> None:
    asked = [
        stitch(A, A, cuts("myrtle")[1], steps=2),
        stitch(A, A, cuts("myrtle")[1], protocol="paper", steps=2, lr=1e-3),
    ]
    here = {o.rows[-1].task: o.rows[-1] for o in perform(pack(asked), WEIGHTS.__getitem__, "cpu")}
    for row in receipts(pack(asked)):
        one = here[row.task]
        assert isinstance(one, StitchRow)
        assert isinstance(row, StitchRow)
        assert row.test_loss == pytest.approx(one.test_loss, rel=1e-3)
        assert row.drift == pytest.approx(one.drift, rel=1e-3, abs=1e-6)
        assert abs(row.test_error - one.test_error) <= 0.5


@pytest.mark.parametrize("places", ["pool", "bilinear", "nearest"])
def test_unlike_places(places: str) -> None:
    (row,) = receipts(
        pack([stitch(A, B, cuts("myrtle")[0], cuts("vit")[1], "adapter", steps=1, options=(("places", places),))])
    )
    assert isinstance(row, StitchRow)


def test_senders_of_labels_groups_and_crops() -> None:
    cut = cuts("myrtle")[1]
    asked = [
        stitch(A, A, cut, sender="label", steps=1),
        stitch(A, C, cut, steps=1),
        stitch(A, A, cut, steps=1, augment="crop_flip"),
        stitch(A, A, cut, steps=1, data="top"),
    ]
    assert len(receipts(pack(asked))) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "myrtle", "options": (("width", 8),), "objective": "simclr", "temperature": 0.5, "probe_steps": 2},
        {"arch": "mlp", "options": (("depth", 2), ("width", 32)), "augment": "crop_flip", "label_noise": 0.1},
        {"arch": "vit", "options": B.training.options, "label_smoothing": 0.1, "labels": LOW_HIGH},
    ],
    ids=["simclr", "crops and noise", "groups"],
)
def test_training_runs(changes: dict[str, object]) -> None:
    training = a_run(**({"steps": 2, "data": DIGITS} | changes))
    (row,) = receipts(TrainPack("p", training, (Model("m", training, 2),), 1.0))
    assert isinstance(row, ModelRow)
    assert row.train_loss is not None


@pytest.mark.slow
def test_the_check_finds_every_stitcher_and_measure_as_on_the_cpu() -> None:
    with elsewhere() as seen:
        differences = list(compare_device(DEVICE))
    assert not [difference for difference in differences if not difference.within_tolerance]
    assert not UNORDERED & set(seen)
    assert len(differences) > 40
