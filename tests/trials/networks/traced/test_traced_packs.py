"""Tests of packs with an external network: training, stitching by both protocols, measures."""

import pytest
import torch
from support import packs
from torch import Tensor, nn

from sweeper.spec.records.rows import ModelRow, SimilarityRow, StitchRow
from sweeper.spec.records.task import Measurement, TrainPack
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.traced import construct
from sweeper.trials.perform import perform

TOY = "toy:net"


class Block(nn.Module):
    """A post-activation residual block, as torchvision's ResNets have them: sums and ReLUs in place."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.conv(x))
        out += x
        return self.relu(out)


def _toy(name: str, image: tuple[int, ...], classes: int) -> nn.Module:
    stem = (nn.Conv2d(image[0], 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    return nn.Sequential(*stem, Block(8), Block(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a library with one network for digits; those of torchvision need three channels."""
    monkeypatch.setitem(construct._MAKERS, "toy", _toy)
    monkeypatch.setitem(packs.ARCH, TOY, ())


def test_a_network_is_built_in_train_mode_by_its_seed() -> None:
    first, same_seed, other_seed = (build(TOY, (), (1, 8, 8), 10, seed=seed) for seed in (1, 1, 2))
    assert first.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same_seed.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other_seed.parameters()))
    assert packs.cuts(TOY) == ["0", "1", "2", "3.add", "3", "4.add", "4", "5", "6"]


def test_training_reaches_a_test_error_below_that_of_chance() -> None:
    model = packs.model(steps=60, arch=TOY)
    (outcome,) = perform(TrainPack("train", model.training, (model,), 1.0), packs.WEIGHTS.__getitem__)
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow), row
    assert row.arch == TOY
    assert row.test_error < 60


def test_stitching_a_network_to_itself_has_no_penalty_and_to_another_a_small_one() -> None:
    a, b = (packs.model(seed=seed, steps=60, arch=TOY) for seed in (0, 1))
    stitches = [
        *(packs.stitch(a, a, cut, stitcher="identity") for cut in ("1", "2", "3.add", "3", "6")),
        *(
            packs.stitch(a, b, cut, protocol=protocol, steps=30)
            for cut in ("2", "4")
            for protocol in ("strict", "paper")
        ),
    ]
    measures = [Measurement(f"cka-{top.id}", a, "3", top, "3", "linear_cka", ()) for top in (a, b)]
    rows = {task: task_rows[-1] for task, task_rows in packs.rows(packs.pack(stitches, measures)).items()}
    for stitch in stitches:
        row = rows[stitch.id]
        assert isinstance(row, StitchRow), row
        if stitch.recipe.stitcher == "identity":
            assert row.penalty == 0.0
        else:
            assert row.penalty < 50
            assert row.direct_r2 is not None
    self_similarity, cross_similarity = (rows[measure.id] for measure in measures)
    assert isinstance(self_similarity, SimilarityRow)
    assert isinstance(cross_similarity, SimilarityRow)
    assert self_similarity.value == pytest.approx(1)
    assert cross_similarity.value < 0.999


def test_stitches_after_the_last_relu_are_linear_probes() -> None:
    a, b = packs.model(1, arch=TOY), packs.model(2, arch=TOY)
    tasks = [packs.stitch(a, b, cut) for cut in ("4.add", "4", "5", "6")]
    task_rows = packs.rows(packs.pack(tasks))
    kinds = []
    for task in tasks:
        row = task_rows[task.id][-1]
        assert isinstance(row, StitchRow), row
        kinds.append((row.affine_top, row.probe_only, row.same_as))
    assert kinds == [(False, False, None), (True, True, None), (True, True, "4"), (True, True, "4")]
