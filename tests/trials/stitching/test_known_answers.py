"""What must come out whatever the data: networks whose stitches are known beforehand."""

import pytest
import torch
from safetensors.torch import load, save
from support.packs import WEIGHTS, cuts, model, pack, put, rows, stitch, weights

from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Measurement, Model, Stitch, StitchPack
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.cka import linear_cka
from sweeper.trials.similarity.measures.pair import Pair

B = model(2)


def receipts(stitches: list[Stitch]) -> dict[str, StitchRow]:
    """The receipt of each stitch, by A's cut."""
    found = {}
    for outcome in rows(pack(stitches)).values():
        row = outcome[-1]
        assert isinstance(row, StitchRow), row
        found[row.cut_a] = row
    return found


@pytest.mark.parametrize("arch", ARCHS)
def test_a_network_into_itself_without_a_stitcher_costs_exactly_nothing(arch: str) -> None:
    same = model(2, arch=arch)
    found = receipts([stitch(same, same, cut, stitcher="identity") for cut in cuts(arch)])
    assert set(found) == set(cuts(arch))
    for row in found.values():
        assert (row.penalty, row.gain) == (0.0, 0.0)
        assert row.test_loss == row.b_loss == row.a_loss
        assert row.steps == row.parameters == 0


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_network_into_itself_is_matched_by_the_closed_form(protocol: str) -> None:
    for row in receipts([stitch(B, B, cut, protocol=protocol, steps=1) for cut in cuts()]).values():
        assert row.direct_r2 == pytest.approx(1, abs=1e-4)
        assert row.direct_error == pytest.approx(row.b_error, abs=0.3)


def permuted(of: Model, seed: int) -> StitchPack:
    """A pack whose sender is `of` with the channels of its first stage in another order: the same function, whose
    activations at conv1, block1 and block2 are permuted."""
    state = load(WEIGHTS[weights(of)])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    writes = ["conv1.weight", "block1.residual.3.weight", "block2.residual.3.weight"]
    norms = [f"block{n}.enter.0.{x}" for n in (1, 2, 3) for x in ("weight", "bias", "running_mean", "running_var")]
    reads = [f"block{n}.residual.0.weight" for n in (1, 2, 3)]
    state |= {f"stages.{name}": state[f"stages.{name}"][order] for name in writes + norms}
    names = [name for name in state if name.startswith("stages.block3.shortcut") and name.endswith("weight")]
    for name in [*(f"stages.{read}" for read in reads), *names]:
        state[name] = state[name][:, order]
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    sender = Model("permuted", of.training, of.step)
    stitches = tuple(stitch(sender, of, cut, steps=0) for cut in ("conv1", "block1", "block2"))
    return StitchPack("pack", sender, stitches, (), 1.0, {of.id: weights(of), sender.id: put(save(state))})


def test_permuted_channels_are_undone_by_the_closed_form() -> None:
    for found in rows(permuted(B, seed=1)).values():
        row = found[-1]
        assert isinstance(row, StitchRow), row
        assert row.a_error == row.b_error  # the permutation kept the function
        assert row.direct_r2 == pytest.approx(1, abs=1e-4)
        assert row.penalty == pytest.approx(0, abs=0.3)
        assert row.direct_error == pytest.approx(row.b_error, abs=0.3)


def test_permuted_channels_need_a_stitcher() -> None:
    """The control of the test above: plugged in as they are, the permuted channels ruin the network."""
    asked = permuted(B, seed=1)
    (sender, *_) = (task.a for task in asked.stitches)
    bare = stitch(sender, B, "block2", stitcher="identity")
    row = rows(StitchPack("pack", sender, (bare,), (), 1.0, asked.weights))[bare.id][-1]
    assert isinstance(row, StitchRow)
    assert row.penalty > 5


def test_a_random_bottom_is_worse_late_than_early() -> None:
    random = model(30, steps=0)
    found = receipts([stitch(random, B, cut, steps=50) for cut in ("conv1", "block8")])
    assert found["block8"].penalty > found["conv1"].penalty + 5


def test_a_rotated_copy_has_similarity_one() -> None:
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(1))).Q
    assert linear_cka(Pair(Activation(x), Activation(x @ rotation))) == pytest.approx(1, abs=1e-5)
    same = Measurement("same", B, "block4", B, "block4", "linear_cka", ())
    assert rows(pack([], [same]))["same"][-1].value == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
